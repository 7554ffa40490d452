import { expect, test } from 'vitest';
import { aFolder } from '../fixtures.ts';
import { allowsMinor, askedPython, chooseInterpreter, missingPython } from './python-version.ts';

const asked = async (files: Record<string, string>) => {
  using app = aFolder(files);
  return await askedPython(app.path);
};

test('askedPython() reads runtime.txt, .python-version, the Pipfile and pyproject.toml, in this order', async () => {
  const project = { 'pyproject.toml': '[project]\nrequires-python = ">=3.9"' };
  const pipfile = { ...project, Pipfile: '[requires]\npython_version = "3.10"' };
  const pinned = { ...pipfile, '.python-version': '# ours\n3.12.1\n' };
  expect(await asked({})).toEqual({ range: null, from: '' });
  expect(await asked(project)).toEqual({ range: '>=3.9', from: 'pyproject.toml' });
  expect(await asked(pipfile)).toEqual({ range: '3.10', from: 'Pipfile' });
  expect(await asked({ ...pipfile, 'requirements.txt': '' })).toEqual({ range: '>=3.9', from: 'pyproject.toml' });
  expect(await asked(pinned)).toEqual({ range: '3.12.1', from: '.python-version' });
  expect(await asked({ ...pinned, 'runtime.txt': 'python-3.11.x\n' })).toEqual({
    range: '3.11.x',
    from: 'runtime.txt',
  });
  expect(await asked({ 'pyproject.toml': '[tool.poetry.dependencies]\npython = "^3.8"' })).toMatchObject({
    range: '^3.8',
  });
});

test('askedPython() says how to write what it cannot read', async () => {
  await expect(asked({ 'runtime.txt': 'python-newest' })).rejects.toThrow(/runtime\.txt asks .*python-3\.11/);
  await expect(asked({ 'pyproject.toml': '[project' })).rejects.toThrow(/pyproject\.toml cannot be read: .*push again/);
});

test.each([
  ['3.11', [11]],
  ['3.11.7', [11]],
  ['3', [9, 10, 11, 12]],
  ['>=3.10', [10, 11, 12]],
  ['>=3.10,<3.12', [10, 11]],
  ['>=3.10.4, <4', [10, 11, 12]],
  ['>3.10', [11, 12]],
  ['<=3.10', [9, 10]],
  ['==3.12.*', [12]],
  ['!=3.10.*,!=3.12', [9, 11]],
  ['~=3.10', [10, 11, 12]],
  ['~=3.10.2', [10]],
  ['^3.11', [11, 12]],
  ['>=2.7,<3', []],
])('allowsMinor() takes for %s of 3.9 to 3.12 the minors %j', (range, minors) => {
  expect([9, 10, 11, 12].filter(minor => allowsMinor(range, minor))).toEqual(minors);
});

test("chooseInterpreter() prefers the distribution's own, else takes the newest that fits", () => {
  const all = [9, 11, 12].map(minor => ({ path: `/usr/bin/python3.${minor}`, minor }));
  const choose = (range: string | null) => chooseInterpreter(range, { all, preferredMinor: 11 })?.minor ?? null;
  expect([null, '>=3.9', '>=3.12', '<3.11', '3.10'].map(choose)).toEqual([11, 11, 12, 9, null]);
});

test('missingPython() names what is here, and the command that brings what is not', () => {
  const here = [{ path: '/usr/bin/python3.11', minor: 11 }];
  const { message } = missingPython({ range: '3.12.4', from: 'runtime.txt' }, here);
  expect(message).toBe(
    'Python 3.12.4 (by runtime.txt) is not on this machine, which has 3.11. Ask for one of these in runtime.txt, or install it. As root: apt-get install python3.12 python3.12-venv; then push again.',
  );
  expect(missingPython({ range: null, from: '' }, []).message).toContain('apt-get install python3 python3-venv');
});
