/** The rungs of the ladder: what stands between the shim and the init, and how each is told what to do. The root is put together by the shim for all of them. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { hostnameOf, idsInside, initInside, initOutside } from './inside.ts';
import { ociConfig } from './oci-config.ts';
import type { RungReport, SandboxSpec } from './sandbox.ts';
import type { ShimKind } from './spec-file.ts';

export type RungName = RungReport['rung'];

/** What a rung is told of one start. */
export interface RungPlaces {
  /** The instance folder. */
  folder: string;
  /** Where the shim puts the root together. */
  root: string;
  privileged: boolean;
  /** Compiled filter; null where there is none for this machine. */
  seccompFile: string | null;
  /** Control group below each hierarchy, for a tool that joins by itself; null without limits. */
  cgroupPath: string | null;
}

export interface Rung {
  name: RungName;
  /** Its program; null when it is not installed. */
  tool: string | null;
  /** Debian package that brings it. */
  debianPackage: string;
  kind: ShimKind;
  /** Does nothing for an ordinary user. */
  needsRoot: boolean;
  /** Sees a root of its own, so needs a mount namespace. */
  hasRoot: boolean;
  /** Applies the compiled filter (a tool with a filter language of its own does not). */
  takesSeccomp: boolean;
  argv(spec: SandboxSpec, places: RungPlaces): string[];
  /** Further files of the instance folder. */
  files(spec: SandboxSpec, places: RungPlaces): Record<string, string>;
  /** What the tool keeps outside of the instance folder goes by this; null: nothing. */
  forget(guid: string, folder: string): string[] | null;
}

export function findTool(name: string): string | null {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/bin', '/bin'])
    try {
      accessSync(join(folder, name), constants.X_OK);
      return join(folder, name);
    } catch {
      // Not in this folder.
    }
  return null;
}

const nothingMore = { files: () => ({}), forget: () => null };

/** bubblewrap: user, pid, ipc, uts, cgroup namespaces; pid 1 is bwrap's own reaper. Network: the namespace that the shim has entered, or the host's. */
function bwrap(): Rung {
  const tool = findTool('bwrap');
  return {
    name: 'bwrap',
    tool,
    debianPackage: 'bubblewrap',
    kind: 'exec',
    needsRoot: false,
    hasRoot: true,
    takesSeccomp: true,
    argv: (spec, { root, seccompFile }) => [
      tool ?? 'bwrap',
      ...['--unshare-user', '--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'],
      ...['--uid', String(idsInside(spec).uid), '--gid', String(idsInside(spec).gid)],
      ...['--hostname', hostnameOf(spec.guid)],
      ...['--disable-userns', '--cap-drop', 'ALL', '--die-with-parent', '--new-session'],
      // Read-only is the root alone: what the shim has mounted below it keeps its own ways.
      ...['--bind', root, '/', '--proc', '/proc', '--dev', '/dev'],
      ...['--perms', '1777', '--size', String(64 * 1024 * 1024), '--tmpfs', '/dev/shm'],
      ...['--remount-ro', '/dev', ...(spec.image === undefined ? ['--remount-ro', '/'] : [])],
      ...(seccompFile === null ? [] : ['--seccomp', '{seccomp}']),
      ...['--', ...initInside(spec)],
    ],
    ...nothingMore,
  };
}

/** runc, or crun with the same words: a container of the Open Container Initiative. It ends once the container runs, which is then the shim's child. */
function oci(name: 'runc' | 'crun'): Rung {
  const tool = findTool(name);
  const state = (folder: string): string => join(folder, 'oci');
  return {
    name,
    tool,
    debianPackage: name,
    kind: 'detached',
    needsRoot: true,
    hasRoot: true,
    takesSeccomp: false,
    argv: ({ guid }, { folder }) => [
      ...[tool ?? name, '--root', state(folder), '--log', join(folder, 'oci.log'), 'run', '--detach'],
      ...['--preserve-fds', '1', '--pid-file', join(folder, 'pid'), '--bundle', folder, guid],
    ],
    files: (spec, { root, cgroupPath }) => ({
      'config.json': JSON.stringify(ociConfig(spec, { root, cgroupPath })),
    }),
    forget: (guid, folder) => [tool ?? name, '--root', state(folder), 'delete', '--force', guid],
  };
}

/**
 * What util-linux's unshare, pivot_root and setpriv do, done by the shim with the kernel's own calls: for machines where nothing is installed. Faster than
 * those tools (no process between), and with the filter, which they lack.
 */
function utilLinux(): Rung {
  return {
    name: 'util-linux',
    tool: findTool('perl'),
    debianPackage: 'perl-base',
    kind: 'namespaces',
    needsRoot: false,
    hasRoot: true,
    takesSeccomp: true,
    argv: initInside,
    ...nothingMore,
  };
}

/** A plain process under its own uid: only where the operator said `--allow-unsandboxed`. Sees the host's files, so the init comes as text. */
function plainProcess(): Rung {
  return {
    name: 'process',
    tool: '/bin/sh',
    debianPackage: 'dash',
    kind: 'process',
    needsRoot: false,
    hasRoot: false,
    takesSeccomp: false,
    argv: (spec, { folder }) => initOutside(spec, join(folder, 'environment')),
    ...nothingMore,
  };
}

/** In the order of choice (docs/decisions/0010). */
export function allRungs(): Rung[] {
  return [utilLinux(), bwrap(), oci('runc'), oci('crun'), plainProcess()];
}
