/** Named properties of a rung, proven by its canary at start, never assumed. */
export interface Enforced {
  pid: boolean;
  net: boolean;
  fs: boolean;
  mem: boolean;
  cpu: boolean;
  pids: boolean;
  disk: boolean;
  seccomp: boolean;
  userns: boolean;
  egress: boolean;
  uid: boolean;
}
export interface RungReport {
  driver: string;
  rung: 'docker' | 'runc' | 'crun' | 'bwrap' | 'util-linux' | 'process';
  enforced: Enforced;
  /** What is lacking, in words for `doctor`. */
  missing: string[];
}

/** A folder made visible inside. */
export interface Mount {
  source: string;
  target: string;
  /**
   * `read-only` and `writable` bind it; `overlay` shows it writable, with every write kept in the sandbox's own disk and gone with it (a full copy where
   * the rung has no overlay).
   */
  mode: 'read-only' | 'writable' | 'overlay';
}

/**
 * A root filesystem that somebody else has made, with all its own files and maybe without a shell. It is shown writable, with every write kept in the sandbox's
 * own disk and gone with it; the folder itself is shared and stays as it is.
 */
export interface ImageRoot {
  root: string;
  /** Who its processes are inside, where the rung maps ids. */
  uid: number;
  gid: number;
  /** How many files a process may have open: whatever starts apps of a stack sets that itself. */
  openFilesMax: number;
}

/** Which network a sandbox gets. */
export type Network =
  /** The host's: an ordinary user without pasta. `address` is loopback, the app gets a port of its own. */
  | { kind: 'host' }
  /** A network namespace of its own made ahead, with egress rules: the app listens on 8080 of `address`. */
  | { kind: 'namespace'; name: string; address: string };

export interface SandboxSpec {
  /** Unique for each start; names the folder, the cgroup and the hostname. */
  guid: string;
  /** Folder of the root filesystem that it stands on; absent: this machine's own /usr. Read-only. */
  stackRoot?: string;
  /** An image's root filesystem instead of a stack's. Absent: a stack's. */
  image?: ImageRoot;
  /** Host uid and gid of everything inside (seen as 2000 inside where the rung maps ids). Ignored when we are an ordinary user. */
  uid: number;
  mounts: Mount[];
  /** Files written into the sandbox's own root before start, e.g. /etc/resolv.conf: inside path -> text. */
  files: Record<string, string>;
  /** argv[0] is looked up on the sandbox's PATH. Nothing secret: it shows in the process list. */
  argv: string[];
  cwd: string;
  /** Exactly the environment inside; never in an argv. */
  environment: Record<string, string>;
  limits: {
    memoryMb: number;
    /** Fraction of one core guaranteed under contention, as cgroup shares: memoryMb / 1024 by Diego's custom. */
    cpuShare: number;
    pidsMax: number;
    diskMb: number;
  };
  network: Network;
  /** Output beyond it is dropped and counted, never slowed; -1 is unlimited. */
  logRateBytesPerSecond: number;
}

/** One line (or a piece of at most 64 KiB of one) of a sandbox's output; or, with an empty line, that some is missing here. */
export interface OutputLine {
  stream: 'out' | 'err';
  timestampMs: number;
  line: string;
  /** Taken by the rate limit, or by a full disk. */
  droppedBytes: number;
  /** Gone before they were read: the shim keeps 4 MiB of what an app writes, and does not slow it down. */
  unreadBytes: number;
}
export interface SandboxExit {
  code: number | null;
  signal: number | null;
  outOfMemory: boolean;
  /** True when the shim itself was lost: counts as a crash, "supervisor lost". */
  lost: boolean;
  atMs: number;
}

/** One sandbox that runs, or has run. Lives on without us: its shim keeps it. */
export interface RunningSandbox {
  readonly guid: string;
  readonly startedMs: number;
  /** Pid on the host of the app's first process; null once ended. For reading /proc (listening ports, usage). */
  readonly pid: number | null;
  /** Lines from `from` (as given by the last `position`) on; ends after the last line once the sandbox has ended. Never loses a line that the shim has kept. */
  output(from?: string): AsyncIterable<OutputLine & { position: string }>;
  /** Resolves when it has ended and nothing of it is left running. */
  readonly ended: Promise<SandboxExit>;
  /** SIGTERM to the app's processes; not to the sandbox. */
  terminate(): Promise<void>;
  /** SIGKILL to all of it. */
  kill(): Promise<void>;
  usage(): Promise<{ cpuSeconds: number; memoryBytes: number; diskBytes: number }>;
  /** After `ended`: removes folder, cgroup and disk image. Idempotent. */
  remove(): Promise<void>;
}

/** Runs other people's code. */
export interface Sandboxes {
  readonly report: RungReport;
  /** Returns once the sandbox's process runs. Throws `SandboxError` when it could not be started: no app code ran, and nothing is left behind. */
  start(spec: SandboxSpec): Promise<RunningSandbox>;
  /** All sandboxes a former agent left under this folder, running or ended, by the rule of reference/shim.md; started half-way ones are cleaned away. */
  adopt(): Promise<RunningSandbox[]>;
  close(): Promise<void>;
}

/** The sandbox could not be set up; no app code ran. */
export class SandboxError extends Error {
  override readonly name = 'SandboxError';
}
