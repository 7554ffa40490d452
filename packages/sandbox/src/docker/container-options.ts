/** A sandbox in the words of Docker's API: which flags, what the engine mounts, and what is left for us to mount. */
import { join } from 'node:path';
import { INSTANCE_LIMITS } from '@cupola/model/limits';
import type { ContainerCreateOptions } from 'dockerode';
import { HOME, hostnameOf, initInside } from '../inside.ts';
import type { Mount, SandboxSpec } from '../sandbox.ts';
import { ociSeccomp } from '../seccomp.ts';
import type { ShimMount } from '../spec-file.ts';

/** Whose containers: unlike any other's, also of another platform or cell on the same engine. */
export const OWNER_LABEL = 'io.cupola.owner';
const INSTALLATION_LABEL = 'io.cupola.installation';
/** The sandbox's guid. */
export const GUID_LABEL = 'io.cupola.sandbox';

/** Made by the helper in the instance folder: the container's first process waits on one for the word to go on, and says on the other that it does. */
const GO = 'go';
const TOLD = 'told';
const GO_INSIDE = '/run/cupola/go';
const TOLD_INSIDE = '/run/cupola/told';
/**
 * Until its mounts and its network are there, nothing of the app runs; where the helper has died, it never does. Both ends are open before the helper is told
 * that it may begin: what it does may change the root.
 */
const WAIT = `exec 3>${TOLD_INSIDE} 4<${GO_INSIDE}
echo waits >&3
read -r go <&4 && [ "$go" = go ] || exit 125
exec 4<&- </dev/null
unset HOSTNAME
exec "$@"`;

/** As much as the shim keeps of what an app writes, each line with the engine's own 75 bytes (4 MiB of the shortest lines are some 16). */
const LOG_FILE_MB = 4;
export const LOG_FILES = 4;
export const LOG_FILE_BYTES = LOG_FILE_MB * 1024 * 1024;

/** Where everything lies on the disk of the sandbox. */
const ON_DISK = [HOME, '/tmp', '/var/tmp'];
const isAt = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);

/**
 * Mounts for the engine, and for us: overlays are for the sandbox's own disk, and what is below them or on that disk comes after. The engine's flags of a
 * mount do not reach what is mounted below it: that is sealed by us as well.
 */
export function splitMounts(mounts: readonly Mount[]): { engine: Mount[]; ours: Mount[] } {
  const places = [...ON_DISK, ...mounts.filter(({ mode }) => mode === 'overlay').map(({ target }) => target)];
  const isOurs = ({ target }: Mount): boolean => places.some(place => isAt(target, place));
  return { engine: mounts.filter(mount => !isOurs(mount)), ours: mounts.filter(isOurs) };
}

/** Folders that have to be there for our mounts: those that are below no other. */
export function mountPoints(ours: readonly Mount[]): string[] {
  const targets = [...ON_DISK, ...ours.map(({ target }) => target)];
  return [...new Set(targets)].filter(at => !targets.some(other => other !== at && isAt(at, other)));
}

export interface ContainerPlaces {
  image: string;
  owner: string;
  installation: string;
  /** The instance folder. */
  folder: string;
  /** What the sandbox's root is made of. */
  base: ShimMount[];
  /** Inside path -> file in the instance folder. */
  files: ReadonlyArray<{ path: string; source: string }>;
  engineMounts: Mount[];
}

export function containerOptions(spec: SandboxSpec, places: ContainerPlaces): ContainerCreateOptions {
  const { uid, guid } = spec;
  return {
    Image: places.image,
    Labels: { [OWNER_LABEL]: places.owner, [INSTALLATION_LABEL]: places.installation, [GUID_LABEL]: guid },
    Hostname: hostnameOf(guid),
    User: `${uid}:${uid}`,
    WorkingDir: '/',
    Entrypoint: ['/bin/sh', '-c', WAIT, 'cupola-wait'],
    Cmd: initInside(spec),
    // The app's own is in a file for it alone: whoever may ask the engine reads this one.
    Env: [],
    HostConfig: hostConfig(spec, places),
  };
}

type HostConfig = NonNullable<ContainerCreateOptions['HostConfig']>;

function hostConfig(
  { limits, network, image }: SandboxSpec,
  places: ContainerPlaces,
): HostConfig & { CgroupnsMode: string } {
  const bytes = limits.memoryMb * 1024 * 1024;
  return {
    ReadonlyRootfs: true,
    CapDrop: ['ALL'],
    SecurityOpt: ['no-new-privileges', `seccomp=${JSON.stringify(ociSeccomp())}`],
    // Our uids are the machine's, also where the engine maps those of others.
    UsernsMode: 'host',
    IpcMode: 'private',
    CgroupnsMode: 'private',
    // The network is ours too: its device is moved in, with rules outside.
    NetworkMode: network.kind === 'host' ? 'host' : 'none',
    // Images listen where they like, on 80 say; the engine's default since 20.10.
    ...(image === undefined || network.kind === 'host'
      ? {}
      : { Sysctls: { 'net.ipv4.ip_unprivileged_port_start': '0' } }),
    RestartPolicy: { Name: 'no' },
    Memory: bytes,
    MemorySwap: bytes,
    CpuShares: Math.max(2, Math.round(limits.cpuShare * 1024)),
    PidsLimit: limits.pidsMax,
    ShmSize: 64 * 1024 * 1024,
    Ulimits: [
      { Name: 'nofile', Soft: INSTANCE_LIMITS.openFilesMax, Hard: INSTANCE_LIMITS.openFilesMax },
      { Name: 'core', Soft: 0, Hard: 0 },
    ],
    LogConfig: { Type: 'json-file', Config: { 'max-size': `${LOG_FILE_MB}m`, 'max-file': String(LOG_FILES) } },
    Mounts: [
      ...places.base.map(({ source, target }) => bind(source, target, true)),
      ...places.files.map(({ path, source }) => bind(source, path, true)),
      bind(join(places.folder, GO), GO_INSIDE, false),
      bind(join(places.folder, TOLD), TOLD_INSIDE, false),
      ...places.engineMounts.map(({ source, target, mode }) => bind(source, target, mode === 'read-only')),
    ],
  };
}

type Bind = NonNullable<HostConfig['Mounts']>[number];
const bind = (source: string, target: string, isReadOnly: boolean): Bind => ({
  Type: 'bind',
  Source: source,
  Target: target,
  ReadOnly: isReadOnly,
  BindOptions: { Propagation: 'rprivate' },
});

/** Read-only ones of the engine's, which we seal with all that is below them. */
export function sealed({
  base,
  files,
  engineMounts,
}: Pick<ContainerPlaces, 'base' | 'files' | 'engineMounts'>): string[] {
  return [
    ...base.map(({ target }) => target),
    ...files.map(({ path }) => path),
    ...engineMounts.filter(({ mode }) => mode === 'read-only').map(({ target }) => target),
  ];
}
