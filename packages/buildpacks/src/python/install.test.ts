import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { aStage, type TestStage } from '../fixtures.ts';
import type { Dependencies } from './dependencies.ts';
import { type Environment, installDependencies } from './install.ts';

/** An environment whose pip does nothing. */
function anEnvironment(stage: TestStage, python = 'python3.11'): Environment {
  const folder = join(stage.deps, 'venv');
  mkdirSync(join(folder, 'lib', python, 'site-packages'), { recursive: true });
  return { folder, python: 'true', pip: ['true'], variables: {} };
}

const SETUPTOOLS = 'true install --no-compile --quiet setuptools<81';
const REQUIREMENTS: Dependencies = { by: 'pip', file: 'requirements.txt', from: 'requirements.txt' };

test('installDependencies() puts in an old setuptools first, so that no package brings one without pkg_resources', async () => {
  using stage = aStage({ 'requirements.txt': '# web\ngunicorn==20.1.0\n' });
  await installDependencies(stage, anEnvironment(stage), REQUIREMENTS);
  expect(stage.ran).toEqual([SETUPTOOLS, 'true install --no-compile --no-warn-script-location -r requirements.txt']);
});

test('installDependencies() puts in none from Python 3.12 on, where nothing is asked for, and where the packages are vendored', async () => {
  using newer = aStage({ 'requirements.txt': 'gunicorn\n' });
  await installDependencies(newer, anEnvironment(newer, 'python3.12'), REQUIREMENTS);
  using empty = aStage({ 'requirements.txt': '# nothing\n\n' });
  await installDependencies(empty, anEnvironment(empty), REQUIREMENTS);
  using vendored = aStage({ 'requirements.txt': 'gunicorn\n', 'vendor/gunicorn-20.1.0.tar.gz': '' });
  await installDependencies(vendored, anEnvironment(vendored), REQUIREMENTS);
  expect([...newer.ran, ...empty.ran, ...vendored.ran]).not.toContain(SETUPTOOLS);
});
