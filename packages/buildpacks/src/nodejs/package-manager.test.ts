import { expect, test } from 'vitest';
import { aFolder } from '../fixtures.ts';
import { readPackageJson } from './package-json.ts';
import { choosePackageManager } from './package-manager.ts';

const choose = async (files: Record<string, string>) => {
  using app = aFolder({ 'package.json': '{}', ...files });
  return await choosePackageManager(app.path, await readPackageJson(app.path));
};

test('choosePackageManager() goes by the lockfile; npm without one', async () => {
  expect((await choose({})).install({ dev: false })).toEqual(['install', '--no-package-lock', '--omit=dev']);
  expect((await choose({ 'package-lock.json': '{}' })).install({ dev: true })).toEqual([
    'ci',
    '--include=dev',
    '--prefer-offline',
  ]);
  expect(await choose({ 'yarn.lock': '# yarn lockfile v1\n' })).toMatchObject({ name: 'yarn', range: '1.x' });
  expect(await choose({ 'pnpm-lock.yaml': "lockfileVersion: '6.0'\n" })).toMatchObject({ name: 'pnpm', range: '8.x' });
});

test('choosePackageManager() obeys packageManager and names the lockfiles that are not used', async () => {
  const json = JSON.stringify({ packageManager: 'pnpm@9.12.3+sha512.abc' });
  const chosen = await choose({ 'package.json': json, 'package-lock.json': '{}', 'pnpm-lock.yaml': '' });
  expect(chosen).toMatchObject({ name: 'pnpm', range: '9.12.3', ignoredLockfiles: ['package-lock.json'] });
});

test('choosePackageManager() takes engines as the range of the manager, when it is one', async () => {
  expect(await choose({ 'package.json': '{"engines":{"npm":"^10"}}' })).toMatchObject({ range: '^10' });
  expect(await choose({ 'package.json': '{"engines":{"npm":"new"}}' })).toMatchObject({ range: null });
});

test('choosePackageManager() takes of an open range the pnpm of the lockfile, and one that has its program in it', async () => {
  const choosePnpm = (asked: string, lockfileVersion: string) =>
    choose({
      'package.json': JSON.stringify({ engines: { pnpm: asked } }),
      'pnpm-lock.yaml': `lockfileVersion: '${lockfileVersion}'\n`,
    });
  expect(await choosePnpm('>=8', '6.0')).toMatchObject({ range: '>=8 8.x' });
  expect(await choosePnpm('>=10', '9.0')).toMatchObject({ range: '>=10 <12.0.0' });
  expect(await choosePnpm('12.1.0', '9.0')).toMatchObject({ range: '12.1.0' });
  expect(await choosePnpm('8 || 9', '9.0')).toMatchObject({ range: '8 || 9' });
});

test('choosePackageManager() tells yarn 4 from yarn 1, and runs the one that the app carries', async () => {
  const lock = '__metadata:\n  version: 8\n';
  const berry = await choose({ 'yarn.lock': lock, '.yarnrc.yml': 'nodeLinker: node-modules\n' });
  expect(berry).toMatchObject({ range: '4.x', prune: ['workspaces', 'focus', '--all', '--production'] });
  const carried = await choose({
    'yarn.lock': lock,
    '.yarnrc.yml': 'yarnPath: .yarn/releases/yarn-4.9.1.cjs\n',
    '.yarn/releases/yarn-4.9.1.cjs': '',
  });
  expect(carried).toMatchObject({
    program: ['node', '.yarn/releases/yarn-4.9.1.cjs'],
    needsToolchain: false,
    prune: null,
  });
  expect(carried.environment('/cache').YARN_ENABLE_GLOBAL_CACHE).toBe('false');
});
