/** What an agent must know of a container that a former one has started: written once the app runs, so a folder without it never began. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HostProcess } from '../running.ts';

export interface ContainerState {
  /** The engine's id. */
  container: string;
  /** The app's init, on this machine. */
  init: HostProcess;
  boot: string;
  startedMs: number;
  logPath: string;
  logRate: number;
}

const FILE = 'state';

export function writeState(folder: string, state: ContainerState): void {
  writeFileSync(join(folder, `${FILE}.new`), JSON.stringify(state), { mode: 0o600 });
  renameSync(join(folder, `${FILE}.new`), join(folder, FILE));
}

/** Null before the app ran. */
export function readState(folder: string): ContainerState | null {
  try {
    return JSON.parse(readFileSync(join(folder, FILE), 'utf8')) as ContainerState;
  } catch {
    return null; // Not there: written whole, or not at all.
  }
}
