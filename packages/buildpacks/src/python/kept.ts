/**
 * The environment of the last push, kept for the next: where nothing that names packages has changed, pip finds all of them there and fetches nothing. As
 * Heroku's buildpack, thrown away as soon as one of these files or the Python has changed, so that no package stays that nobody asks for any more.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Stage } from '../buildpack.ts';
import { PYTHON_FILES } from './dependencies.ts';

/** Of a file that names packages: larger ones are none. */
const FILE_MAX_BYTES = 4 * 1024 * 1024;

/** Names what an environment was made of. */
export function environmentKey(app: string, python: string): string {
  const hash = createHash('sha256').update(python);
  const isListed = (name: string): boolean =>
    PYTHON_FILES.includes(name) || name === 'setup.cfg' || /(?:require|constraint).*\.(?:txt|in)$/.test(name);
  const files = [
    ...readdirSync(app).filter(isListed),
    ...['requirements', 'vendor'].flatMap(folder => filesIn(app, folder)),
  ];
  for (const file of files.toSorted()) {
    const { size } = statSync(join(app, file));
    hash.update(`\0${file}\0${size}\0`);
    if (size <= FILE_MAX_BYTES) hash.update(readFileSync(join(app, file)));
  }
  return hash.digest('hex');
}

function filesIn(app: string, folder: string): string[] {
  if (!existsSync(join(app, folder))) return [];
  return readdirSync(join(app, folder), { withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(({ name }) => join(folder, name));
}

const places = ({ cache, deps }: Stage) => ({
  kept: join(cache, 'venv'),
  note: join(cache, 'venv.key'),
  used: join(deps, 'venv'),
});

/** Lays the kept environment out for this build. False where there is none for this key. */
export async function restoreEnvironment(stage: Stage, key: string): Promise<boolean> {
  const { kept, note, used } = places(stage);
  if (!existsSync(note) || readFileSync(note, 'utf8') !== key) return false;
  await stage.run(['cp', '-a', kept, used]);
  return true;
}

export async function keepEnvironment(stage: Stage, key: string): Promise<void> {
  const { kept, note, used } = places(stage);
  await rm(note, { force: true });
  await rm(kept, { recursive: true, force: true });
  await stage.run(['cp', '-a', used, kept]);
  await writeFile(note, key);
}
