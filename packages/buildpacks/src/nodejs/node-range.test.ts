import { expect, test } from 'vitest';
import { aFolder } from '../fixtures.ts';
import { askedNode } from './node-range.ts';
import { readPackageJson } from './package-json.ts';

const ask = async (files: Record<string, string>) => {
  using app = aFolder(files);
  return await askedNode(app.path, await readPackageJson(app.path));
};

test('askedNode() takes engines before .nvmrc before .node-version', async () => {
  const engines = { 'package.json': '{"engines":{"node":"20.x"}}' };
  const files = { '.nvmrc': 'v22\n', '.node-version': '18.1.0' };
  expect(await ask({ ...engines, ...files })).toMatchObject({ range: '20.x' });
  expect(await ask(files)).toEqual({ range: 'v22', from: '.nvmrc' });
  expect(await ask({ '.node-version': '18.1.0' })).toMatchObject({ range: '18.1.0' });
  expect(await ask({})).toEqual({ range: null, from: '' });
});

test("askedNode() knows nvm's names", async () => {
  expect(await ask({ '.nvmrc': 'lts/iron' })).toMatchObject({ range: '20.x' });
  expect(await ask({ '.nvmrc': 'lts/*' })).toMatchObject({ range: '24.x' });
  expect(await ask({ '.nvmrc': 'node' })).toMatchObject({ range: '*' });
});

test('askedNode() refuses what is no range, and says where it stands', async () => {
  await expect(ask({ 'package.json': '{"engines":{"node":"newest"}}' })).rejects.toThrow(
    /"engines" of package.json asks for Node.js "newest"/,
  );
  await expect(ask({ '.nvmrc': 'lts/whatever' })).rejects.toThrow(/\.nvmrc asks/);
});
