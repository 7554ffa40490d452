/**
 * Parts of a supervisor that was killed: they end by themselves once their stdin has closed, but a new control must not open the store beside an old one.
 * So every part that begins is written down, and the next supervisor waits for those that still run, then kills them.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isAlive, startTime } from './process-life.ts';

interface Known {
  name: string;
  pid: number;
  started: string;
}

/** As long as a part takes to drain when it is asked to. */
const WAIT_MS = 5_000;
const LOOK_MS = 20;

const fileOf = (data: string): string => join(data, 'run', 'parts.json');

function read(data: string): Known[] {
  try {
    return JSON.parse(readFileSync(fileOf(data), 'utf8')) as Known[];
  } catch {
    return []; // The first start, or a file cut by a crash: then a part of it holds its socket, and the port tells.
  }
}

/** A process of a part has begun. Processes that have ended are left out of the file. */
export function rememberPart(data: string, name: string, pid: number): void {
  const known = read(data).filter(part => isAlive(part.pid, part.started));
  const file = fileOf(data);
  writeFileSync(`${file}.new`, JSON.stringify([...known, { name, pid, started: startTime(pid) ?? '' }]), {
    mode: 0o600,
  });
  renameSync(`${file}.new`, file);
}

export function forgetParts(data: string): void {
  rmSync(fileOf(data), { force: true });
}

/** Resolves when no part of a former supervisor runs any more. */
export async function endLeftParts(data: string): Promise<void> {
  const left = (): Known[] => read(data).filter(({ pid, started }) => isAlive(pid, started));
  const end = performance.now() + WAIT_MS;
  while (left().length > 0 && performance.now() < end) await sleep(LOOK_MS);
  for (const { pid } of left())
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has just ended by itself.
    }
  while (left().length > 0 && performance.now() < end + WAIT_MS) await sleep(LOOK_MS);
  forgetParts(data);
}
