/** Programs of the stack, as a build sees them: this machine's, read-only. */
import { execFile } from 'node:child_process';
import { accessSync, constants, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Where a machine's own programs lie that every build and instance can run; the first wins. */
const PROGRAM_FOLDERS = ['/usr/local/bin', '/usr/bin', '/bin'];
/** A program that only says its version says it sooner, but for a machine with ten times its work: there pip took longer than 20 s, and was told as missing. */
const ANSWER_MS = 120_000;

/** The first of these that can be run; null when there is none. */
export function findProgram(name: string, folders: readonly string[] = PROGRAM_FOLDERS): string | null {
  return folders.map(folder => join(folder, name)).find(isProgram) ?? null;
}

/** All programs whose names fit, each with its folder, the first of a name only. */
export function programsLike(pattern: RegExp, folders: readonly string[] = PROGRAM_FOLDERS): Map<string, string> {
  const found = new Map<string, string>();
  for (const folder of folders)
    for (const name of namesIn(folder))
      if (pattern.test(name) && !found.has(name) && isProgram(join(folder, name))) found.set(name, join(folder, name));
  return found;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // Not on this machine.
  }
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // Not there, or not for us.
  }
}

/** What a short program printed, trimmed; null when it failed. Not for programs of the app. */
export async function answerOf(
  argv: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<string | null> {
  const [program = '', ...args] = argv;
  try {
    const { stdout } = await promisify(execFile)(program, args, { env: environment, timeout: ANSWER_MS });
    return stdout.trim();
  } catch {
    return null; // It cannot do what it was asked for: that is the answer.
  }
}
