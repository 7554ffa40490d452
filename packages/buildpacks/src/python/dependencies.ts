/** Where an app says what it depends on, and how that is installed. */
import { existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StagingFailedError } from '@cupola/model/errors';
import { requirementsOfLock, requirementsOfPipfile } from './pipfile.ts';
import { readToml, type Table, tableIn, textsIn } from './toml.ts';

export type Dependencies =
  /** A file for `pip install -r`. */
  | { by: 'pip'; file: string; from: string }
  /** Lines of such a file, made from another format. */
  | { by: 'pip-lines'; lines: string[]; from: string }
  /** The app is itself a package: `pip install .`. */
  | { by: 'pip-project'; from: string }
  | { by: 'uv'; from: string }
  | { by: 'poetry'; from: string }
  | { by: 'nothing' };

/** In the order in which they count. A lock says more than the file that it was made from. */
const SOURCES: ReadonlyArray<readonly [file: string, read: (app: string) => Promise<Dependencies>]> = [
  ['requirements.txt', async () => ({ by: 'pip', file: 'requirements.txt', from: 'requirements.txt' })],
  ['uv.lock', async () => ({ by: 'uv', from: 'uv.lock' })],
  ['poetry.lock', async () => ({ by: 'poetry', from: 'poetry.lock' })],
  ['Pipfile.lock', ofLock],
  ['Pipfile', ofPipfile],
  ['pyproject.toml', ofProject],
  ['setup.py', async () => ({ by: 'pip-project', from: 'setup.py' })],
];

/** Files that make a folder a Python app. */
export const PYTHON_FILES: readonly string[] = SOURCES.map(([file]) => file);

/** Files that say the same in another way: told, since people change one and wonder. */
const GO_TOGETHER = new Set(['pyproject.toml', 'setup.py', 'Pipfile']);

/** @returns also the files that are there and are not used. @throws StagingFailedError when the one that counts cannot be read. */
export async function readDependencies(app: string): Promise<{ dependencies: Dependencies; unused: string[] }> {
  const [first, ...others] = SOURCES.filter(([file]) => existsSync(join(app, file)));
  if (first === undefined) return { dependencies: { by: 'nothing' }, unused: [] };
  const unused = others.map(([file]) => file).filter(file => !GO_TOGETHER.has(file));
  return { dependencies: await first[1](app), unused };
}

async function ofLock(app: string): Promise<Dependencies> {
  let lock: unknown;
  try {
    lock = JSON.parse(await readFile(join(app, 'Pipfile.lock'), 'utf8'));
  } catch {
    throw new StagingFailedError(
      'BuildpackCompileFailed',
      'Pipfile.lock cannot be read. Run "pipenv lock" where you develop, and push what it writes.',
    );
  }
  return { by: 'pip-lines', lines: requirementsOfLock(lock as Table), from: 'Pipfile.lock' };
}

async function ofPipfile(app: string): Promise<Dependencies> {
  return { by: 'pip-lines', lines: requirementsOfPipfile(await readToml(app, 'Pipfile')), from: 'Pipfile' };
}

/** With a build system it is a package like any other; without one, a list of what the app needs. */
async function ofProject(app: string): Promise<Dependencies> {
  const toml = await readToml(app, 'pyproject.toml');
  const from = 'pyproject.toml';
  if (Object.keys(tableIn(toml, 'build-system')).length > 0) return { by: 'pip-project', from };
  const lines = textsIn(tableIn(toml, 'project'), 'dependencies');
  return lines.length === 0 ? { by: 'nothing' } : { by: 'pip-lines', lines, from };
}

/** Packages that were pushed with the app, for a machine without a registry (CF: the folder `vendor`). */
export function hasVendoredPackages(app: string): boolean {
  try {
    return readdirSync(join(app, 'vendor')).some(name => /\.(whl|tar\.gz|zip)$/.test(name));
  } catch {
    return false; // No such folder.
  }
}
