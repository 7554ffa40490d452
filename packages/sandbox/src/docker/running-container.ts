/** One sandbox that an engine keeps: the port's object over its container. While it runs, nothing is asked of the engine but whether it has ended. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bootId } from '../launcher.ts';
import { followLog } from '../output.ts';
import { diskUsage, runs } from '../running.ts';
import type { RunningSandbox, SandboxExit } from '../sandbox.ts';
import type { ContainerEnd } from './ends.ts';
import { jsonLog } from './json-log.ts';
import type { ContainerState } from './state-file.ts';

/** The kernel takes milliseconds for it. */
const KILL_MS = 5_000;
const LOOK_MS = 10;

export interface ContainerKept {
  guid: string;
  folder: string;
  state: ContainerState;
  end: Promise<ContainerEnd>;
  remove(): Promise<void>;
}

export function runningContainer({ guid, folder, state, end, remove }: ContainerKept): RunningSandbox {
  let over = false;
  const ended = end.then(async (found): Promise<SandboxExit> => {
    // Whom the engine has lost sight of may run on.
    if (found === null) await killLost(state);
    over = true;
    if (found === null) return { code: null, signal: null, outOfMemory: false, lost: true, atMs: Date.now() };
    return exitOf(found);
  });
  ended.catch(() => undefined); // Told to who waits for it.
  return {
    guid,
    startedMs: state.startedMs,
    get pid() {
      return over ? null : state.init.pid;
    },
    output: from => followLog(jsonLog(state.logPath, state.logRate), from, ended),
    ended,
    terminate: async () => signal(state, 'SIGTERM'),
    // The first process of its namespace takes all others with it.
    kill: async () => signal(state, 'SIGKILL'),
    usage: async () => ({
      ...groupUsage(state.init.pid),
      diskBytes: await diskUsage(folder, over ? null : state.init.pid),
    }),
    remove,
  };
}

/** To the very process: the engine may be away, and an app must end when it is told to all the same. */
function signal({ init, boot }: ContainerState, name: 'SIGTERM' | 'SIGKILL'): void {
  if (boot !== bootId() || !runs(init)) return;
  try {
    process.kill(init.pid, name);
  } catch {
    // It has just ended.
  }
}

async function killLost(state: ContainerState): Promise<void> {
  signal(state, 'SIGKILL');
  const until = performance.now() + KILL_MS;
  while (state.boot === bootId() && runs(state.init) && performance.now() < until)
    await new Promise(done => setTimeout(done, LOOK_MS));
}

/** The engine, and the init inside, hand a signal on as 128 + n. */
function exitOf({ exitCode, outOfMemory, finishedMs }: NonNullable<ContainerEnd>): SandboxExit {
  const signal = exitCode > 128 && exitCode <= 192 ? exitCode - 128 : null;
  return {
    code: signal === null ? exitCode : null,
    signal,
    outOfMemory: signal === 9 && outOfMemory,
    lost: false,
    atMs: finishedMs,
  };
}

/** From the files of its control groups: the engine itself takes a second for it. Zeros once it has ended. */
function groupUsage(pid: number): { cpuSeconds: number; memoryBytes: number } {
  const groups = new Map(
    read(`/proc/${pid}/cgroup`)
      .split('\n')
      .flatMap(line => {
        const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
        return controllers.split(',').map(controller => [controller, path] as const);
      }),
  );
  const file = (controller: string, name: string): string => {
    const path = groups.get(controller);
    return path === undefined ? '' : read(join('/sys/fs/cgroup', controller, path, name));
  };
  const number = (text: string): number => Number(text) || 0;
  const inactive = (text: string, key: string): number =>
    number(new RegExp(`^${key} (\\d+)`, 'm').exec(text)?.[1] ?? '');
  if (groups.has('memory'))
    return {
      cpuSeconds: number(file('cpuacct', 'cpuacct.usage')) / 1e9,
      memoryBytes: Math.max(
        0,
        number(file('memory', 'memory.usage_in_bytes')) -
          inactive(file('memory', 'memory.stat'), 'total_inactive_file'),
      ),
    };
  return {
    cpuSeconds: inactive(file('', 'cpu.stat'), 'usage_usec') / 1e6,
    memoryBytes: Math.max(0, number(file('', 'memory.current')) - inactive(file('', 'memory.stat'), 'inactive_file')),
  };
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // It has ended.
  }
}
