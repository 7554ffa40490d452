/** A virtual environment inside the droplet, at the path where it will run, and what the app depends on in it. */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StagingFailedError } from '@cupola/model/errors';
import type { Stage } from '../buildpack.ts';
import { explaining } from '../explain.ts';
import { answerOf } from '../found-programs.ts';
import { type Dependencies, hasVendoredPackages } from './dependencies.ts';
import { PYTHON_HINTS } from './hints.ts';
import type { Interpreter } from './python-version.ts';

/** pip installs into an environment other than its own from this version on. */
const PIP_FOR_OTHERS = [22, 3] as const;

export interface Environment {
  /** Its folder, in the droplet. */
  folder: string;
  python: string;
  /** How pip is called for it. */
  pip: readonly string[];
  /** For build commands: its programs first. */
  variables: Record<string, string>;
}

/** @throws StagingFailedError when this machine's Python brings no pip. */
export async function makeEnvironment(stage: Stage, { path }: Interpreter): Promise<Environment> {
  const folder = join(stage.deps, 'venv');
  const python = join(folder, 'bin/python');
  const explained = (argv: string[]): Promise<void> => explaining(stage.app, PYTHON_HINTS, () => stage.run(argv));
  if (!existsSync(python)) await explained([path, '-m', 'venv', '--without-pip', folder]);
  const settings: Record<string, string> = {
    PYTHONDONTWRITEBYTECODE: '1',
    // Compiled files of packages hold no time and no chance.
    PYTHONHASHSEED: '0',
    PYTHONUNBUFFERED: '1',
    PIP_CACHE_DIR: join(stage.cache, 'pip'),
    PIP_DISABLE_PIP_VERSION_CHECK: '1',
    PIP_NO_INPUT: '1',
    PIP_PROGRESS_BAR: 'off',
    UV_CACHE_DIR: join(stage.cache, 'uv'),
    VIRTUAL_ENV: folder,
  };
  const given = Object.keys(settings).filter(name => name.startsWith('PIP_') && stage.environment[name] !== undefined);
  for (const name of given) delete settings[name];
  const variables = { ...settings, PATH: `${join(folder, 'bin')}:${stage.environment.PATH ?? '/usr/bin:/bin'}` };
  return { folder, python, pip: await pipFor({ path, python }, { ...stage.environment, ...variables }), variables };
}

/** The host's pip for another environment; where it is too old or not there, the one that the host's Python carries for new environments. */
async function pipFor(
  { path, python }: { path: string; python: string },
  environment: Readonly<Record<string, string>>,
): Promise<readonly string[]> {
  const [major = 0, minor = 0] =
    /^pip (\d+)\.(\d+)/
      .exec((await answerOf([path, '-m', 'pip', '--version'], environment)) ?? '')
      ?.slice(1)
      .map(Number) ?? [];
  const [needMajor, needMinor] = PIP_FOR_OTHERS;
  if (major > needMajor || (major === needMajor && minor >= needMinor)) return [path, '-m', 'pip', '--python', python];
  if ((await answerOf([python, '-m', 'ensurepip', '--default-pip'], environment)) !== null)
    return [python, '-m', 'pip'];
  throw new StagingFailedError(
    'BuildpackCompileFailed',
    'Python is on this machine without pip. As root: apt-get install python3-pip python3-venv; then push again.',
  );
}

/** @throws StagingFailedError when something cannot be installed. */
export async function installDependencies(stage: Stage, environment: Environment, wanted: Dependencies): Promise<void> {
  if (wanted.by === 'nothing') return void stage.say('       No dependencies to install');
  stage.say(`-----> Installing dependencies (${wanted.from})`);
  const byPip = wanted.by === 'pip' || wanted.by === 'pip-lines' || wanted.by === 'pip-project';
  const asksRegistry = !hasVendoredPackages(stage.app);
  // Before the app's own, as in an environment of that time: a package that asks for any setuptools would bring the newest.
  if (asksRegistry && byPip && (await namesPackages(stage.app, wanted))) await addSetuptools(stage, environment);
  await installBy(stage, environment, wanted);
  if (asksRegistry && !byPip) await addSetuptools(stage, environment);
}

/** A list may be empty, so that the app is taken for one of Python. */
async function namesPackages(app: string, wanted: Dependencies): Promise<boolean> {
  if (wanted.by === 'pip-lines') return wanted.lines.length > 0;
  if (wanted.by !== 'pip') return true;
  const text = await readFile(join(app, wanted.file), 'utf8');
  return text.split('\n').some(line => /^[^\s#]/.test(line.trim()));
}

async function installBy(
  stage: Stage,
  environment: Environment,
  wanted: Exclude<Dependencies, { by: 'nothing' }>,
): Promise<void> {
  if (wanted.by === 'uv') return installByUv(stage, environment);
  if (wanted.by === 'poetry') return installByPoetry(stage, environment);
  if (wanted.by === 'pip-lines') {
    const file = join(stage.cache, 'requirements.txt');
    await writeFile(file, `${wanted.lines.join('\n')}\n`);
    return pipInstall(stage, environment, ['-r', file]);
  }
  await pipInstall(stage, environment, wanted.by === 'pip' ? ['-r', wanted.file] : ['.']);
}

async function pipInstall(stage: Stage, { pip, variables }: Environment, what: readonly string[]): Promise<void> {
  const vendored = hasVendoredPackages(stage.app);
  if (vendored) stage.say('       Packages are taken from the folder vendor');
  const from = vendored ? ['--no-index', '--find-links', 'vendor'] : [];
  const argv = [...pip, 'install', '--no-compile', '--no-warn-script-location', ...from, ...what];
  await explaining(stage.app, PYTHON_HINTS, () => stage.run(argv, variables));
}

/** A tool that only the build needs lies in the app's cache, in an environment of its own. */
async function toolFromRegistry(
  stage: Stage,
  { python, pip, variables }: Environment,
  name: string,
  more: readonly string[] = [],
): Promise<string> {
  const folder = join(stage.cache, 'tools', name);
  const program = join(folder, 'bin', name);
  if (existsSync(program)) return program;
  stage.say(`       Installing ${name}`);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await explaining(stage.app, PYTHON_HINTS, async () => {
    await stage.run([python, '-m', 'venv', '--without-pip', folder], variables);
    const other = pip.map(word => (word === python ? join(folder, 'bin/python') : word));
    await stage.run([...other, 'install', '--no-compile', '--quiet', name, ...more], variables);
  });
  return program;
}

async function installByUv(stage: Stage, environment: Environment): Promise<void> {
  const uv = await toolFromRegistry(stage, environment, 'uv');
  const variables = {
    ...environment.variables,
    UV_PROJECT_ENVIRONMENT: environment.folder,
    UV_PYTHON: environment.python,
    UV_PYTHON_DOWNLOADS: 'never',
    UV_LINK_MODE: 'copy',
    UV_NO_PROGRESS: '1',
    UV_NO_MANAGED_PYTHON: '1',
  };
  await explaining(stage.app, PYTHON_HINTS, () =>
    stage.run([uv, 'sync', '--locked', '--no-dev', '--no-editable'], variables),
  );
}

/**
 * Poetry says what its lock asks for, and pip installs it: so the registry is the one that this machine's pip knows, where Poetry itself knows only the
 * public one and what the app names.
 */
async function installByPoetry(stage: Stage, environment: Environment): Promise<void> {
  const poetry = await toolFromRegistry(stage, environment, 'poetry', ['poetry-plugin-export']);
  const variables = { ...environment.variables, POETRY_CACHE_DIR: join(stage.cache, 'poetry') };
  const file = join(stage.cache, 'requirements.txt');
  // Packages from git or a folder have no hash, and with one hash pip wants all of them.
  const lock = await readFile(join(stage.app, 'poetry.lock'), 'utf8');
  const hashes = /^type = "(?:git|directory|url|file)"/m.test(lock) ? ['--without-hashes'] : [];
  const argv = [poetry, 'export', '--only', 'main', '--no-interaction', '--no-ansi', ...hashes, '--output', file];
  await explaining(stage.app, PYTHON_HINTS, () => stage.run(argv, variables));
  await pipInstall(stage, environment, ['--no-deps', '-r', file]);
}

/** The first Python whose environments come without setuptools (its release notes). */
const WITHOUT_SETUPTOOLS_MINOR = 12;

/**
 * What `python -m venv` puts into an environment before Python 3.12, and what packages of that time import without asking for it: pkg_resources, which
 * setuptools 81 is the last to say that it has. Heroku and CF give it too.
 */
async function addSetuptools(stage: Stage, environment: Environment): Promise<void> {
  const [packages] = (await readdir(join(environment.folder, 'lib'))).filter(name => name.startsWith('python3.'));
  const minor = Number(packages?.slice('python3.'.length));
  if (packages === undefined || !(minor < WITHOUT_SETUPTOOLS_MINOR)) return;
  const folder = join(environment.folder, 'lib', packages, 'site-packages');
  if (existsSync(join(folder, 'setuptools'))) return;
  const argv = [...environment.pip, 'install', '--no-compile', '--quiet', 'setuptools<81'];
  // Most packages do without: one that does not says so when it is started.
  await stage.run(argv, environment.variables).catch(() => stage.say('       setuptools is not to be had'));
}

/**
 * Compiled files, so that no instance compiles at each start: named by no time, since a layer has none, and the same for the same sources.
 * A package may bring templates or other versions' sources that do not compile: nobody imports them.
 */
export async function compileSources(stage: Stage, { python, variables }: Environment, folder: string): Promise<void> {
  const argv = ['-m', 'compileall', '-qq', '--invalidation-mode', 'unchecked-hash', '-x', 'node_modules', folder];
  await stage.run([python, ...argv], { ...variables, PYTHONDONTWRITEBYTECODE: '' }).catch(() => undefined);
}

/** What was pushed compiled is of another machine. */
export async function removeCompiled(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (!entry.isDirectory() || entry.name === 'node_modules') continue;
    const path = join(folder, entry.name);
    if (entry.name === '__pycache__') await rm(path, { recursive: true, force: true });
    else await removeCompiled(path);
  }
}
