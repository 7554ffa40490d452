/** python_buildpack: an app with requirements.txt, pyproject.toml, uv.lock, poetry.lock or a Pipfile. The interpreter is the stack's; the app's layer holds its environment. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { BUILDPACK_VERSION, type Buildpack, type Stage } from '../buildpack.ts';
import { explaining } from '../explain.ts';
import { answerOf, programsLike } from '../found-programs.ts';
import { PYTHON_FILES, readDependencies } from './dependencies.ts';
import { STATIC_HINTS } from './hints.ts';
import { compileSources, type Environment, installDependencies, makeEnvironment, removeCompiled } from './install.ts';
import { environmentKey, keepEnvironment, restoreEnvironment } from './kept.ts';
import { writePythonProfile } from './profile.ts';
import { askedPython, chooseInterpreter, type Interpreter, missingPython } from './python-version.ts';
import { readFacts, startCommand } from './start-command.ts';

export const pythonBuildpack: Buildpack = {
  name: 'python_buildpack',
  title: 'Python',
  detect: async app =>
    [...PYTHON_FILES, 'manage.py'].some(file => existsSync(join(app, file))) ? `python ${BUILDPACK_VERSION}` : null,
  compile,
  release: async ({ app, deps }) => {
    const programs = new Set(await readdir(join(deps, 'venv/bin')));
    const web = startCommand(readFacts(app, programs));
    return web === null ? {} : { web };
  },
};

async function compile(stage: Stage): Promise<void> {
  const interpreter = await choosePython(stage);
  const key = environmentKey(stage.app, interpreter.version);
  const isKept = await restoreEnvironment(stage, key);
  if (isKept) stage.say('       Using the environment of the last push');
  const environment = await makeEnvironment(stage, interpreter);
  const { dependencies, unused } = await readDependencies(stage.app);
  for (const file of unused) stage.say(`       **WARNING** ${file} is not used`);
  await installDependencies(stage, environment, dependencies);
  await removeCompiled(stage.app);
  if (!isKept) {
    await compileSources(stage, environment, join(environment.folder, 'lib'));
    await keepEnvironment(stage, key);
  }
  await collectStatic(stage, environment);
  await compileSources(stage, environment, '.');
  await writePythonProfile(stage);
  stage.offerPrograms(join(environment.folder, 'bin'));
}

async function choosePython(stage: Stage): Promise<Interpreter & { version: string }> {
  const asked = await askedPython(stage.app);
  const all = [...programsLike(/^python3\.\d+$/)].map(([name, path]) => ({
    path,
    minor: Number(name.slice('python3.'.length)),
  }));
  const environment = { PATH: stage.environment.PATH ?? '/usr/bin:/bin' };
  const own = /^Python 3\.(\d+)/.exec((await answerOf(['python3', '--version'], environment)) ?? '')?.[1];
  const preferredMinor = own === undefined ? null : Number(own);
  const found = chooseInterpreter(asked.range, { all, preferredMinor });
  if (found === null) throw missingPython(asked, all);
  const version = (await answerOf([found.path, '--version'], environment)) ?? basename(found.path);
  stage.say(`-----> ${version}${asked.range === null ? '' : ` (${asked.range} by ${asked.from})`}`);
  return { ...found, version };
}

/** As Heroku and CF do, unless DISABLE_COLLECTSTATIC is set, and only where Django's settings say where to. */
async function collectStatic(stage: Stage, { python, variables }: Environment): Promise<void> {
  const { django } = readFacts(stage.app, new Set());
  const isOff = !['', '0', undefined].includes(stage.environment.DISABLE_COLLECTSTATIC);
  if (django === null || isOff || !namesStaticRoot(join(stage.app, django))) return;
  stage.say(`-----> python ${join(django, 'manage.py')} collectstatic --noinput`);
  const argv = [python, join(django, 'manage.py'), 'collectstatic', '--noinput'];
  await explaining(stage.app, STATIC_HINTS, () => stage.run(argv, variables));
}

/** In `PROJECT/settings.py`, or in a folder of settings. */
function namesStaticRoot(folder: string): boolean {
  return readdirSync(folder, { withFileTypes: true })
    .filter(entry => entry.isDirectory())
    .flatMap(({ name }) => [
      ...[join(folder, name, 'settings.py')].filter(existsSync),
      ...pythonFiles(join(folder, name, 'settings')),
    ])
    .some(file => /^\s*STATIC_ROOT\s*=/m.test(readFileSync(file, 'utf8')));
}

function pythonFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter(name => name.endsWith('.py'))
    .map(name => join(folder, name));
}
