/**
 * Limits by control groups, v1 and v2. One group for each sandbox, made before its start; the shim's child joins it, the shim itself stays outside.
 * `root` is where the hierarchies are mounted: a fake tree in tests.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';

export interface CgroupLimits {
  memoryMb: number;
  /** Share under contention; 1 is 1,024 cgroup-v1 shares. */
  cpuShare: number;
  pidsMax: number;
}
export interface Cgroup {
  name: string;
  /** Below each hierarchy, for a tool that joins by itself. */
  path: string;
  /** Files to write a pid into, to join. */
  joinFiles: string[];
  /** Has a line `oom_kill N`. Null where memory is not limited. */
  oomFile: string | null;
  usage(): { cpuSeconds: number; memoryBytes: number };
  /** Pids in it, on the host. */
  pids(): number[];
  limit(limits: CgroupLimits): void;
  /** SIGKILL to all that is in it now. */
  kill(): void;
  /** Waits until it is gone, a second at most: a process that has just ended leaves it a moment later. */
  remove(): Promise<void>;
}
export interface Cgroups {
  version: 1 | 2;
  enforced: { mem: boolean; cpu: boolean; pids: boolean };
  /** Without limits yet. */
  create(name: string): Cgroup;
  /** An existing group, after a restart of the agent. */
  find(name: string): Cgroup;
  /** Removes every group that nothing runs in, a killed agent's too, and the parent if none is left. */
  close(): void;
}

const read = (file: string): string => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // The group is gone: its sandbox has ended.
  }
};
const pidsOf = (file: string): number[] => read(file).split('\n').filter(Boolean).map(Number);
const killAll = (pids: number[]): void => {
  for (const pid of pids)
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // Gone by itself.
    }
};
/** False when something is in it still. A group that is not there is removed. */
function removeFolder(folder: string): boolean {
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true }))
      if (entry.isDirectory()) removeFolder(join(folder, entry.name));
    rmdirSync(folder);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}
const REMOVE_TRIES = 100;
const REMOVE_AGAIN_MS = 10;
async function removeFolders(folders: string[]): Promise<void> {
  for (let tries = 0; tries < REMOVE_TRIES; tries++) {
    if (folders.map(removeFolder).every(Boolean)) return;
    await new Promise(done => setTimeout(done, REMOVE_AGAIN_MS));
  }
}
/** What is in the parent, the parent, and what is above it up to the root: those that nothing runs in. */
function removeEmpty(root: string, parent: string): void {
  if (!existsSync(join(root, parent)) || !removeFolder(join(root, parent))) return;
  for (let at = dirname(parent); at !== '.' && at !== '/'; at = dirname(at))
    try {
      rmdirSync(join(root, at));
    } catch {
      return; // In use, or never made.
    }
}

/** Null when no hierarchy is writable for us: limits are then what the rung report says is missing. */
export function openCgroups(parent: string, root = '/sys/fs/cgroup'): Cgroups | null {
  return existsSync(join(root, 'cgroup.controllers')) ? openV2(parent, root) : openV1(parent, root);
}

const CONTROLLERS = ['memory', 'cpu', 'pids'] as const;

/**
 * All sandboxes together weigh as much as one process for each processor: by the default they would weigh as much as one process in all, and every app would
 * wait for the platform's own parts whenever those are busy. Version 1 alone: in version 2 no processes compete with groups.
 */
function weighParents(root: string, parent: string): void {
  const parts = parent.split('/');
  for (const [depth] of parts.entries()) {
    const file = join(root, 'cpu', ...parts.slice(0, depth + 1), 'cpu.shares');
    if (existsSync(file)) writeFileSync(file, String(1024 * availableParallelism()));
  }
}

function openV1(parent: string, root: string): Cgroups | null {
  const usable = CONTROLLERS.filter(controller => {
    // The folder of hierarchies is an ordinary one: a controller that is not mounted could be made there, and would limit nothing.
    if (!existsSync(join(root, controller, 'cgroup.procs'))) return false;
    try {
      mkdirSync(join(root, controller, parent), { recursive: true });
      return true;
    } catch {
      return false; // Not ours.
    }
  });
  if (usable.length === 0) return null;
  if (usable.includes('cpu')) weighParents(root, parent);
  const has = (controller: (typeof CONTROLLERS)[number]): boolean => usable.includes(controller);
  const folder = (controller: string, name: string): string => join(root, controller, parent, name);
  // cpuacct is mounted with cpu or beside it; usage is worth having, a limit it is not.
  const accounting = [join(root, 'cpuacct'), join(root, 'cpu,cpuacct'), join(root, 'cpu')].find(path =>
    existsSync(join(path, 'cpuacct.usage')),
  );

  const find = (name: string): Cgroup => ({
    name,
    path: join(parent, name),
    joinFiles: [
      ...usable.map(controller => join(folder(controller, name), 'cgroup.procs')),
      ...(accounting === undefined ? [] : [join(accounting, parent, name, 'cgroup.procs')]),
    ],
    oomFile: has('memory') ? join(folder('memory', name), 'memory.oom_control') : null,
    usage: () => ({
      cpuSeconds: accounting === undefined ? 0 : Number(read(join(accounting, parent, name, 'cpuacct.usage'))) / 1e9,
      memoryBytes: v1Memory(folder('memory', name)),
    }),
    pids: () => pidsOf(join(folder(usable[0] ?? 'memory', name), 'cgroup.procs')),
    limit: ({ memoryMb, cpuShare, pidsMax }) => {
      const bytes = String(memoryMb * 1024 * 1024);
      if (has('memory')) {
        writeFileSync(join(folder('memory', name), 'memory.limit_in_bytes'), bytes);
        // Without swap: where swap accounting is off, there is nothing to limit.
        if (existsSync(join(folder('memory', name), 'memory.memsw.limit_in_bytes')))
          writeFileSync(join(folder('memory', name), 'memory.memsw.limit_in_bytes'), bytes);
      }
      if (has('cpu'))
        writeFileSync(join(folder('cpu', name), 'cpu.shares'), String(Math.max(2, Math.round(cpuShare * 1024))));
      if (has('pids')) writeFileSync(join(folder('pids', name), 'pids.max'), String(pidsMax));
    },
    kill: () => killAll(pidsOf(join(folder(usable[0] ?? 'memory', name), 'cgroup.procs'))),
    // In each hierarchy: runc makes groups in all of them.
    remove: () => removeFolders(readdirSync(root).map(hierarchy => folder(hierarchy, name))),
  });
  return {
    version: 1,
    enforced: { mem: has('memory'), cpu: has('cpu'), pids: has('pids') },
    find,
    close: () => {
      for (const hierarchy of readdirSync(root)) removeEmpty(join(root, hierarchy), parent);
    },
    create: name => {
      for (const controller of usable) mkdirSync(folder(controller, name), { recursive: true });
      if (accounting !== undefined) mkdirSync(join(accounting, parent, name), { recursive: true });
      return find(name);
    },
  };
}

/** What counts for people: without the page cache that the kernel may drop. */
function v1Memory(folder: string): number {
  const usage = Number(read(join(folder, 'memory.usage_in_bytes'))) || 0;
  const inactive = /^total_inactive_file (\d+)/m.exec(read(join(folder, 'memory.stat')))?.[1];
  return Math.max(0, usage - Number(inactive ?? 0));
}

/** All at once, or those that are to be had: what came of it is read afterwards. */
function handDown(file: string): void {
  const wanted = CONTROLLERS.map(controller => `+${controller}`);
  for (const words of [wanted.join(' '), ...wanted])
    try {
      writeFileSync(file, words);
      if (words.includes(' ')) return;
    } catch {
      // Not there, or not ours: left out.
    }
}

function openV2(parent: string, root: string): Cgroups | null {
  const base = join(root, parent);
  try {
    mkdirSync(base, { recursive: true });
    // Each level must hand the controllers down; a controller that is not to be had is left out.
    const parts = parent.split('/');
    const levels = [root, ...parts.map((_, index) => join(root, ...parts.slice(0, index + 1)))];
    for (const level of levels) handDown(join(level, 'cgroup.subtree_control'));
  } catch {
    return null; // Read-only, or another user's.
  }
  const available = read(join(base, 'cgroup.subtree_control')).split(/\s+/);
  const has = (controller: (typeof CONTROLLERS)[number]): boolean =>
    available.some(name => name.replace('+', '') === controller);
  if (!CONTROLLERS.some(has)) return null;
  const find = (name: string): Cgroup => {
    const folder = join(base, name);
    return {
      name,
      path: join(parent, name),
      joinFiles: [join(folder, 'cgroup.procs')],
      oomFile: has('memory') ? join(folder, 'memory.events') : null,
      usage: () => ({
        cpuSeconds: Number(/^usage_usec (\d+)/m.exec(read(join(folder, 'cpu.stat')))?.[1] ?? 0) / 1e6,
        memoryBytes: Math.max(
          0,
          (Number(read(join(folder, 'memory.current'))) || 0) -
            Number(/^inactive_file (\d+)/m.exec(read(join(folder, 'memory.stat')))?.[1] ?? 0),
        ),
      }),
      pids: () => pidsOf(join(folder, 'cgroup.procs')),
      limit: ({ memoryMb, cpuShare, pidsMax }) => {
        if (has('memory')) {
          writeFileSync(join(folder, 'memory.max'), String(memoryMb * 1024 * 1024));
          if (existsSync(join(folder, 'memory.swap.max'))) writeFileSync(join(folder, 'memory.swap.max'), '0');
        }
        // v1's 1,024 shares are v2's weight 100 (both are the kernel's default); v2 takes 1 to 10,000.
        if (has('cpu'))
          writeFileSync(join(folder, 'cpu.weight'), String(Math.min(10_000, Math.max(1, Math.round(cpuShare * 100)))));
        if (has('pids')) writeFileSync(join(folder, 'pids.max'), String(pidsMax));
      },
      kill: () => {
        const file = join(folder, 'cgroup.kill');
        // All at once, forks included, since Linux 5.14.
        if (existsSync(file)) writeFileSync(file, '1');
        else killAll(pidsOf(join(folder, 'cgroup.procs')));
      },
      remove: () => removeFolders([folder]),
    };
  };
  return {
    version: 2,
    enforced: { mem: has('memory'), cpu: has('cpu'), pids: has('pids') },
    find,
    close: () => removeEmpty(root, parent),
    create: name => {
      mkdirSync(join(base, name), { recursive: true });
      return find(name);
    },
  };
}
