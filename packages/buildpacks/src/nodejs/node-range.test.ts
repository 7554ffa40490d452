import { expect, test } from 'vitest';
import { aFolder } from '../fixtures.ts';
import { askedNode, isIn, newestIn, overlaps } from './node-range.ts';
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

test('newestIn() takes the newest of a range, no pre-release', () => {
  const versions = ['18.1.0', '20.3.0', '20.20.2', '22.0.0', '23.0.0-rc.1'];
  expect(newestIn('20.x', versions)).toBe('20.20.2');
  expect(newestIn(null, versions)).toBe('22.0.0');
  expect(newestIn('>=30', versions)).toBeNull();
});

test('isIn() and overlaps() hold every version for a null range', () => {
  expect([isIn(null, '1.0.0'), isIn('2.x', '1.0.0')]).toEqual([true, false]);
  expect([overlaps(null, '<2'), overlaps('1.10.0', '<2'), overlaps('^4', '<2')]).toEqual([true, true, false]);
});
