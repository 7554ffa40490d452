import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { aStage } from '../fixtures.ts';
import { findProgram } from '../found-programs.ts';
import { environmentKey } from './kept.ts';
import { pythonBuildpack } from './python.ts';

/** An environment is some thousand files, on a machine that may be busy. */
const SLOW = { timeout: 180_000 };
const noPip = findProgram('pip3') === null || findProgram('python3') === null;

test('python_buildpack is for folders with a file that names packages, and for Django', async () => {
  using flask = aStage({ 'requirements.txt': '' });
  using django = aStage({ 'manage.py': '' });
  using script = aStage({ 'tool.py': '' });
  const detected = await Promise.all([flask, django, script].map(({ app }) => pythonBuildpack.detect(app)));
  expect(detected).toEqual(['python 0.1.0', 'python 0.1.0', null]);
});

test.skipIf(noPip)(
  'python_buildpack makes an environment that runs, and uses it again for the same packages',
  SLOW,
  async () => {
    // A package of the app's own: nothing is fetched.
    const files = {
      'requirements.txt': '',
      'app.py': 'print("hi")',
      '__pycache__/app.cpython-27.pyc': 'old',
    };
    using stage = aStage(files, { PYTHONHASHSEED: '5' });
    await pythonBuildpack.compile(stage);
    expect(readlinkSync(join(stage.deps, 'venv/bin/python3'))).toMatch(/python/);
    expect(existsSync(join(stage.app, '__pycache__/app.cpython-27.pyc'))).toBe(false);
    expect(readFileSync(join(stage.profileD, 'python.sh'), 'utf8')).toContain(`${stage.deps}/venv/bin:$PATH`);
    expect(await pythonBuildpack.release(stage)).toEqual({ web: 'python app.py' });

    using again = aStage(files);
    await stage.run(['cp', '-a', `${stage.cache}/.`, again.cache]);
    await pythonBuildpack.compile(again);
    expect(again.said).toContain('       Using the environment of the last push');
  },
);

test.skipIf(noPip)(
  'python_buildpack takes the Python of this machine where the app asks for one like it',
  SLOW,
  async () => {
    using stage = aStage({ 'requirements.txt': '', '.python-version': '>=3.5', 'app.py': '' });
    await pythonBuildpack.compile(stage);
    expect(stage.said[0]).toMatch(/^-----> Python 3\.\d+\.\d+\S* \(>=3\.5 by \.python-version\)$/);
  },
);

test.skipIf(noPip)('python_buildpack says which line of the requirements is wrong', SLOW, async () => {
  using stage = aStage({ 'requirements.txt': '=nonsense=' });
  await expect(pythonBuildpack.compile(stage)).rejects.toMatchObject({
    title: 'BuildpackCompileFailed',
    message: expect.stringMatching(/this line of the requirements cannot be read: .*=nonsense=/),
  });
});

test('python_buildpack says which Python is here when the asked one is not', async () => {
  using stage = aStage({ 'requirements.txt': '', 'runtime.txt': 'python-2.7.18' });
  await expect(pythonBuildpack.compile(stage)).rejects.toThrow(/not on this machine/);
});

test('environmentKey() changes with the packages that are asked for and with the Python, not with the code', () => {
  using one = aStage({ 'requirements.txt': 'a', 'requirements/base.txt': 'b', 'app.py': '1' });
  using code = aStage({ 'requirements.txt': 'a', 'requirements/base.txt': 'b', 'app.py': '2' });
  using other = aStage({ 'requirements.txt': 'a', 'requirements/base.txt': 'c', 'app.py': '1' });
  const key = environmentKey(one.app, 'Python 3.11.2');
  expect(environmentKey(code.app, 'Python 3.11.2')).toBe(key);
  expect(environmentKey(other.app, 'Python 3.11.2')).not.toBe(key);
  expect(environmentKey(one.app, 'Python 3.11.3')).not.toBe(key);
});
