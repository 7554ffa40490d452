/** The launcher of a checkout, where this CLI runs from one; from npm's package there is none. */
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** What `./cupola` does itself, beside the commands of this program. */
export const LAUNCHER_COMMANDS = [
  ...['up', 'down', 'status', 'ca', 'install', 'migrate', 'backup', 'restore', 'user', 'stack', 'join'],
  ...['cluster', 'cells', 'cell'],
];

/** Absolute; null: none. */
export function findLauncher(entry = process.argv[1] ?? ''): string | null {
  return above(dirname(realpathSync(entry)));
}

function above(folder: string): string | null {
  const launcher = join(folder, 'cupola');
  if (existsSync(launcher) && existsSync(join(folder, 'package-lock.json'))) return launcher;
  return dirname(folder) === folder ? null : above(dirname(folder));
}
