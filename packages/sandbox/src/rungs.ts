/** The command lines of the rungs: what stands between the shim and the init. Each enters the root that the shim has put together. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { INSIDE_UID } from './host-root.ts';
import type { RungReport, SandboxSpec } from './sandbox.ts';

export type RungName = RungReport['rung'];

export interface Rung {
  name: RungName;
  /** Its program; null when it is not installed. */
  tool: string | null;
  /** Debian package that brings it. */
  debianPackage: string | null;
  /** Puts a root of its own together, so needs a mount namespace. */
  hasRoot: boolean;
  /** Hands its filter to the tool. */
  takesSeccomp: boolean;
  argv(spec: SandboxSpec, paths: { root: string; privileged: boolean; pivot: string; seccomp: boolean }): string[];
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

const init = (spec: SandboxSpec): string[] => ['/bin/sh', '/run/cupola/init', spec.cwd, ...spec.argv];

/** bubblewrap: user, pid, ipc, uts, cgroup namespaces; pid 1 is bwrap's own reaper. Network: the namespace that the shim has entered, or the host's. */
function bwrap(): Rung {
  const tool = findTool('bwrap');
  return {
    name: 'bwrap',
    tool,
    debianPackage: 'bubblewrap',
    hasRoot: true,
    takesSeccomp: true,
    argv: (spec, { root, seccomp }) => [
      tool ?? 'bwrap',
      ...['--unshare-user', '--unshare-pid', '--unshare-ipc', '--unshare-uts', '--unshare-cgroup-try'],
      ...['--uid', String(INSIDE_UID), '--gid', String(INSIDE_UID), '--hostname', spec.guid.slice(0, 63)],
      ...['--disable-userns', '--cap-drop', 'ALL', '--die-with-parent', '--new-session'],
      ...['--bind', root, '/', '--proc', '/proc', '--dev', '/dev'],
      ...(seccomp ? ['--seccomp', '{seccomp}'] : []),
      ...['--', ...init(spec)],
    ],
  };
}

/** util-linux: where nothing is installed. pivot.sh makes proc and dev, changes the root, drops the uid. No seccomp filter: said in the report. */
function utilLinux(): Rung {
  const tool = findTool('unshare');
  return {
    name: 'util-linux',
    tool: findTool('setpriv') === null ? null : tool,
    debianPackage: 'util-linux',
    hasRoot: true,
    takesSeccomp: false,
    argv: (spec, { root, privileged, pivot }) => [
      tool ?? 'unshare',
      ...['--pid', '--ipc', '--uts', '--cgroup', '--fork', '--kill-child', '--'],
      ...['/bin/sh', pivot, root, spec.guid.slice(0, 63), privileged ? String(spec.uid) : '-', ...init(spec)],
    ],
  };
}

/** A plain process under its own uid: only where the operator said `--allow-unsandboxed`. */
function plainProcess(): Rung {
  return {
    name: 'process',
    tool: '/bin/sh',
    debianPackage: null,
    hasRoot: false,
    takesSeccomp: false,
    argv: spec => init(spec),
  };
}

/** Strongest first. */
export function allRungs(): Rung[] {
  return [bwrap(), utilLinux(), plainProcess()];
}
