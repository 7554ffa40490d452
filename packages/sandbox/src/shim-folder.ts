/** Reads what a shim writes, `state` and `exit`, and speaks to it. The agent's side of the folder protocol (README.md); its log is read by output.ts. */
import { closeSync, constants, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';

export interface ShimState {
  shimPid: number;
  childPid: number;
  /** In clock ticks since boot, as /proc/PID/stat has it: with the pid it names one process. */
  childStart: string;
  boot: string;
  startedMs: number;
}
export interface ShimExit {
  /** False: no app code ran; `why` says what failed. */
  started: boolean;
  why: string;
  code: number;
  signal: number;
  oomKills: number;
  atMs: number;
}

const fields = (text: string): Map<string, string> =>
  new Map(
    text.split('\n').map(line => {
      const space = line.indexOf(' ');
      return [line.slice(0, space), line.slice(space + 1)] as const;
    }),
  );
export const readOrNull = (file: string): string | null => {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null; // Not written yet, or never.
  }
};

/** The rung that it was started on: the ladder may have changed since. Null before the folder was filled. */
export function readRung(folder: string): string | null {
  return readOrNull(join(folder, 'rung'));
}

/** Its control group; null without one. */
export function readGroup(folder: string): string | null {
  return readOrNull(join(folder, 'group'));
}

export function readState(folder: string): ShimState | null {
  const text = readOrNull(join(folder, 'state'));
  if (text === null) return null;
  const found = fields(text);
  const pid = (key: string): number => Number(found.get(key)?.split(' ')[0] ?? 0);
  return {
    shimPid: pid('shim'),
    childPid: pid('child'),
    childStart: found.get('child')?.split(' ')[1] ?? '',
    boot: found.get('boot') ?? '',
    startedMs: Number(found.get('started')),
  };
}

export function readExit(folder: string): ShimExit | null {
  const text = readOrNull(join(folder, 'exit'));
  if (text === null) return null;
  const found = fields(text);
  const number = (key: string): number => Number(found.get(key) ?? 0);
  return {
    started: found.get('started') === '1',
    why: found.get('why') ?? '',
    code: number('code'),
    signal: number('signal'),
    oomKills: number('oom'),
    atMs: number('at'),
  };
}

/**
 * Resolves when the shim has ended: at once if it has, else when its end of `alive` closes. `kill -0` is not to be trusted where pid 1 does not reap.
 */
export function shimEnded(folder: string): Promise<void> {
  let fd: number;
  try {
    fd = openSync(join(folder, 'alive'), constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return Promise.resolve(); // No FIFO: it never began.
  }
  try {
    if (readSync(fd, Buffer.alloc(1)) === 0) {
      closeSync(fd);
      return Promise.resolve();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
  }
  return new Promise(resolve => {
    const socket = new Socket({ fd, readable: true, writable: false });
    socket.on('error', () => socket.destroy());
    socket.on('end', () => socket.destroy());
    socket.on('close', () => resolve());
    socket.resume();
    // A shim does not keep the agent alive.
    socket.unref();
  });
}

/** Orders to the shim: `T` terminate, `K` kill. False when it has ended. */
export function order(folder: string, letter: 'T' | 'K'): boolean {
  try {
    const fd = openSync(join(folder, 'ctl'), constants.O_WRONLY | constants.O_NONBLOCK);
    writeSync(fd, letter);
    closeSync(fd);
    return true;
  } catch {
    return false; // ENXIO: nobody reads any more.
  }
}
