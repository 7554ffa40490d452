import type { EgressRule } from './egress.ts';
import type { HealthCheckType } from './states.ts';

/** One layer of a droplet, a tar with root-relative paths, shared by every instance that needs it. */
export interface Layer {
  /** sha-256 of the tar, hex: its blob key and its OCI DiffID. Of an image's layer: as its registry sent it, packed or not. */
  digest: string;
  sizeBytes: number;
  /**
   * `toolchain`: made by us (a Node.js, say), mounted read-only for any app. `app`: what staging left, mounted writable over itself for each instance.
   * `image`: with the others of its kind, in order, the root filesystem of somebody's image, which takes the place of a stack's.
   */
  kind: 'toolchain' | 'app' | 'image';
  /** Where the layer's files appear inside: `/home/vcap` for the app, `/toolchains/node-24.21.0` for a toolchain. The tar's paths begin with it. */
  mountPath: string;
}

/** What an image says of how it is to be run. */
export interface ImageConfig {
  entrypoint: string[];
  /** Arguments of the entrypoint, or, where there is none, the command. */
  command: string[];
  environment: Record<string, string>;
  /** Where the command begins. */
  folder: string;
  /** `USER`, `USER:GROUP`, by name or number; empty: root. */
  user: string;
  /** TCP ports that it names, in order. */
  ports: number[];
}

/** How an instance's health is judged. Times in ms. */
export interface HealthCheck {
  type: HealthCheckType;
  /** Path asked by the http kind. */
  endpoint: string | null;
  /** How long a start may take; null is the platform's default. */
  timeoutMs: number | null;
  /** How long one probe may take; null is the platform's default. */
  invocationTimeoutMs: number | null;
  intervalMs: number | null;
}

/** A second command of an instance. */
export interface Sidecar {
  name: string;
  command: string;
  /** What it is told as MEMORY_LIMIT; null: the instance's own. */
  memoryMb: number | null;
}

/** What to run: immutable, made at start, restart or deployment. An instance points to one, and a crash restart reuses it, so that `set-env` cannot leak into it. */
export interface RunSpec {
  guid: string;
  appGuid: string;
  processGuid: string;
  processType: string;
  appName: string;
  spaceGuid: string;
  spaceName: string;
  organizationGuid: string;
  organizationName: string;
  dropletGuid: string;
  layers: Layer[];
  /** Run by `bash -c` in /home/vcap/app after the `.profile.d` scripts. Of an image: by its own shell in its own folder; empty: what the image says. */
  command: string;
  /** User-provided, VCAP_APPLICATION, VCAP_SERVICES, MEMORY_LIMIT ...; PORT, CF_INSTANCE_* and INSTANCE_* are the agent's, for each copy. */
  environment: Record<string, string>;
  memoryMb: number;
  diskMb: number;
  /** -1 is unlimited. */
  logRateBytesPerSecond: number;
  healthCheck: HealthCheck;
  readinessHealthCheck: HealthCheck;
  stack: string;
  /** Ports the app listens on; the first is PORT. */
  ports: number[];
  /** Run beside the command, in the same sandbox: when one of them ends, all do. Absent: none. */
  sidecars?: Sidecar[];
  /** Its layers are an image's, and this is what that says. Absent: a droplet of a stack. */
  image?: ImageConfig;
  /** Run once, and never again: a task by this name. Absent: an instance of a process. */
  taskName?: string;
  /** Its files are changed where it runs, and its command may end. Absent: an app like any other. */
  development?: true;
  /** Where its log lines are to go besides (`syslog://host:port`, `syslog-tls://`, `https://`), by the services bound at its start. Absent in old specs: none. */
  syslogDrains?: string[];
  /** What it may reach, by the security groups of its space at its start. Absent in old specs: `DEFAULT_EGRESS`. */
  egress?: EgressRule[];
}
