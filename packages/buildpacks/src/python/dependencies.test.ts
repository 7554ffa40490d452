import { expect, test } from 'vitest';
import { aFolder } from '../fixtures.ts';
import { readDependencies } from './dependencies.ts';
import { requirementsOfLock, requirementsOfPipfile } from './pipfile.ts';

const read = async (files: Record<string, string>) => {
  using app = aFolder(files);
  return await readDependencies(app.path);
};

test('readDependencies() takes requirements.txt first, and names the locks that it does not use', async () => {
  const files = { 'requirements.txt': 'flask', 'uv.lock': '', 'pyproject.toml': '', Pipfile: '' };
  expect(await read(files)).toEqual({
    dependencies: { by: 'pip', file: 'requirements.txt', from: 'requirements.txt' },
    unused: ['uv.lock'],
  });
});

test('readDependencies() takes a lock before the file that it was made from', async () => {
  expect((await read({ 'uv.lock': '', 'pyproject.toml': '' })).dependencies).toEqual({ by: 'uv', from: 'uv.lock' });
  expect((await read({ 'poetry.lock': '', 'pyproject.toml': '' })).dependencies).toMatchObject({ by: 'poetry' });
  expect((await read({ 'Pipfile.lock': '{"default":{}}', Pipfile: '' })).dependencies).toMatchObject({
    from: 'Pipfile.lock',
  });
});

test('readDependencies() installs a pyproject.toml as a package only where it says how it is built', async () => {
  const project = '[project]\nname = "a"\ndependencies = ["flask>=3", "rich"]\n';
  const by = async (text: string) => (await read({ 'pyproject.toml': text })).dependencies;
  expect(await by(project)).toEqual({ by: 'pip-lines', lines: ['flask>=3', 'rich'], from: 'pyproject.toml' });
  expect(await by(`${project}[build-system]\nrequires = ["setuptools"]`)).toMatchObject({ by: 'pip-project' });
  expect(await by('[tool.ruff]')).toEqual({ by: 'nothing' });
});

test('readDependencies() says what to do about a lock that is none', async () => {
  await expect(read({ 'Pipfile.lock': '<<<<<<< HEAD' })).rejects.toThrow(/Run "pipenv lock"/);
});

test('requirementsOfPipfile() writes versions, extras, markers, places and further sources as pip reads them', () => {
  const lines = requirementsOfPipfile({
    source: [
      { name: 'pypi', url: 'https://registry.example/simple' },
      { name: 'ours', url: 'https://ours.example/simple' },
    ],
    packages: {
      flask: '*',
      rich: '>=13',
      uvicorn: { version: '==0.30', extras: ['standard'], markers: "python_version > '3.8'" },
      lib: { git: 'https://git.example/lib.git', ref: 'v2' },
      mine: { path: 'libs/mine', editable: true },
    },
    'dev-packages': { pytest: '*' },
  });
  expect(lines).toEqual([
    '--extra-index-url https://ours.example/simple',
    'flask',
    'rich>=13',
    "uvicorn[standard]==0.30 ; python_version > '3.8'",
    'lib @ git+https://git.example/lib.git@v2',
    './libs/mine',
  ]);
});

test('requirementsOfLock() keeps hashes only where every package has them', () => {
  const flask = { version: '==3.1.2', hashes: ['sha256:aa'] };
  expect(requirementsOfLock({ default: { flask } })).toEqual(['flask==3.1.2 --hash=sha256:aa']);
  expect(requirementsOfLock({ default: { flask, lib: { git: 'https://x' } }, develop: { pytest: {} } })).toEqual([
    'flask==3.1.2',
    'lib @ git+https://x',
  ]);
});
