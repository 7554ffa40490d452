/**
 * Processes of git of a former part, which was killed: each leads a group of its own, so that it can be ended with what it has started, and a kill of the part
 * does not reach it. A fetch would write into a repository, and hold its locks, beside the new part's.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Git, SETTINGS } from './git-process.ts';

const LOOK_MS = 20;
/** A process that is killed is gone at once, unless its disk does not answer (ours). */
const WAIT_MS = 5_000;

/** Kills them, and resolves when they are gone. Where there is no /proc none are found. */
export async function endLeftProcesses(git: Git): Promise<void> {
  const end = performance.now() + WAIT_MS;
  for (let left = processesOf(git); left.length > 0 && performance.now() < end; left = processesOf(git)) {
    for (const pid of left)
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has just ended by itself.
      }
    await sleep(LOOK_MS);
  }
}

/** By the file of settings in their environment, which one that has ended has no more. */
function processesOf({ settings }: Git): number[] {
  return pids().filter(pid => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`${SETTINGS}=${settings}`);
    } catch {
      return false; // Another user's, or gone.
    }
  });
}

function pids(): number[] {
  try {
    return readdirSync('/proc')
      .map(Number)
      .filter(pid => pid > 0 && pid !== process.pid);
  } catch {
    return [];
  }
}
