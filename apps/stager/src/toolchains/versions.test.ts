import { expect, test } from 'vitest';
import { chooseFrom, chooseHere, type Known, packageOf } from './versions.ts';

const known = (fields: Partial<Known> = {}): Known => ({ ownNode: '24.21.0', installedNpm: null, made: [], ...fields });
const node = (range: string | null) => ({ name: 'node', range, nodeVersion: null }) as const;
const npm = (range: string | null, nodeVersion = '24.21.0') => ({ name: 'npm', range, nodeVersion }) as const;
const INSTALLED = { folder: '/x', version: '11.6.0', nodeRange: '^20.17.0 || >=22.9.0' };

test('chooseHere() gives our own Node.js to every app whose range holds it', () => {
  expect(chooseHere(node(null), known())).toEqual({ version: '24.21.0', source: 'own' });
  expect(chooseHere(node('>=18'), known())).toEqual({ version: '24.21.0', source: 'own' });
  expect(chooseHere(node('22.x'), known())).toBeNull();
  expect(chooseHere(node(null), known({ ownNode: null }))).toBeNull();
});

test("chooseHere() takes this machine's npm where it runs on the app's Node.js", () => {
  const here = known({ installedNpm: INSTALLED });
  expect(chooseHere(npm(null), here)).toEqual({ version: '11.6.0', source: 'installed' });
  expect(chooseHere(npm(null, '18.20.0'), here)).toBeNull();
  expect(chooseHere(npm('10.x'), here)).toBeNull();
});

test('chooseHere() knows an exact version that was made before', () => {
  const ask = { name: 'pnpm', range: '9.15.9', nodeVersion: '24.21.0' } as const;
  expect(chooseHere(ask, known({ made: ['9.15.9'] }))).toEqual({ version: '9.15.9', source: 'made' });
  expect(chooseHere({ ...ask, range: '9.x' }, known({ made: ['9.15.9'] }))).toBeNull();
});

test('chooseFrom() takes the newest of the registry, from here when it was made before', () => {
  const versions = ['20.1.0', '20.20.2', '22.0.0'];
  expect(chooseFrom(node('20.x'), { versions, reason: '', known: known() })).toEqual({
    version: '20.20.2',
    source: 'registry',
  });
  expect(chooseFrom(node('20.x'), { versions, reason: '', known: known({ made: ['20.20.2'] }) }).source).toBe('made');
});

test('chooseFrom() takes an npm that the Node.js can run', () => {
  const versions = ['6.14.18', '9.9.4', '10.9.4', '11.6.0', '12.0.0'];
  const choose = (version: string) => chooseFrom(npm(null, version), { versions, reason: '', known: known() }).version;
  expect(['24.1.0', '18.20.0', '16.20.0', '12.22.0'].map(choose)).toEqual(['11.6.0', '10.9.4', '9.9.4', '6.14.18']);
});

test('chooseFrom() falls back to what was made when the registry is away', () => {
  const away = { versions: null, reason: 'no network', known: known({ made: ['20.1.0'] }) };
  expect(chooseFrom(node('20.x'), away)).toEqual({ version: '20.1.0', source: 'made' });
  expect(() => chooseFrom(node('22.x'), away)).toThrow(
    /could not be asked for it \(no network\)\. Here are: 20\.1\.0, 24\.21\.0/,
  );
});

test('chooseFrom() says what to change when nothing is in the range', () => {
  expect(() => chooseFrom(node('1.x'), { versions: ['20.1.0'], reason: '', known: known() })).toThrow(
    /There is no node 1\.x for .* in the registry\. Change "engines" in package\.json \(or \.nvmrc\)/,
  );
});

test('packageOf() names the package of a platform, and of both yarns', () => {
  expect(packageOf(node(null))).toBe(`node-${process.platform}-${process.arch}`);
  expect(packageOf({ name: 'yarn', range: '1.10.0' })).toBe('yarn');
  expect(packageOf({ name: 'yarn', range: '4.x' })).toBe('@yarnpkg/cli-dist');
});
