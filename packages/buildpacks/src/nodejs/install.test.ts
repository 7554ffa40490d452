import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CommandFailedError } from '../buildpack.ts';
import { aFolder, aStage } from '../fixtures.ts';
import { planInstall } from './install.ts';
import { nodejsBuildpack } from './nodejs.ts';
import { type PackageJson, readPackageJson } from './package-json.ts';

const json = async (fields: object): Promise<PackageJson> => {
  using app = aFolder({ 'package.json': JSON.stringify(fields) });
  return await readPackageJson(app.path);
};
const plan = async (fields: object, environment = {}, vendored: Parameters<typeof planInstall>[2] = null) =>
  planInstall(await json(fields), environment, vendored);

test('planInstall() does nothing for an app without dependencies and scripts', async () => {
  expect(await plan({ scripts: { start: 'node x', test: 'node y' } })).toEqual({
    prebuild: null,
    install: 'none',
    rebuild: false,
    build: null,
    prune: false,
  });
});

test('planInstall() installs development dependencies only for scripts of the build or the install, and removes them again', async () => {
  const both = { dependencies: { a: '1' }, devDependencies: { b: '1' } };
  expect(await plan(both)).toMatchObject({ install: 'without-dev', build: null, prune: false });
  expect(await plan({ ...both, scripts: { build: 'b' } })).toMatchObject({
    install: 'with-dev',
    build: 'build',
    prune: true,
  });
  expect(await plan({ ...both, scripts: { postinstall: 'tsc' } })).toMatchObject({ install: 'with-dev', prune: true });
  const heroku = { build: 'b', 'heroku-postbuild': 'c', 'heroku-prebuild': 'd' };
  expect(await plan({ ...both, scripts: heroku })).toMatchObject({
    prebuild: 'heroku-prebuild',
    build: 'heroku-postbuild',
  });
});

test('planInstall() keeps development dependencies when NODE_ENV or NPM_CONFIG_PRODUCTION says so', async () => {
  const fields = { devDependencies: { b: '1' }, scripts: { build: 'b' } };
  expect(await plan(fields, { NODE_ENV: 'development' })).toMatchObject({ install: 'with-dev', prune: false });
  expect(await plan(fields, { NPM_CONFIG_PRODUCTION: 'false' })).toMatchObject({ install: 'with-dev', prune: false });
});

test('planInstall() takes pushed node_modules as they are, and installs only what they lack', async () => {
  const fields = { dependencies: { a: '1' }, scripts: { build: 'b' } };
  expect(await plan(fields, {}, { missing: [], needsRebuild: true })).toMatchObject({
    install: 'none',
    rebuild: true,
    build: null,
  });
  expect(await plan(fields, {}, { missing: ['a'], needsRebuild: false })).toMatchObject({ install: 'without-dev' });
});

test('nodejs_buildpack runs no npm for an app without dependencies', async () => {
  using stage = aStage({ 'package.json': '{"name":"a","scripts":{"start":"node s.js"}}' });
  await nodejsBuildpack.compile(stage);
  expect(stage.ran).toEqual([]);
  expect(stage.said).toContain('       No dependencies to install');
  expect(await nodejsBuildpack.release(stage)).toEqual({ web: 'npm start' });
});

test('nodejs_buildpack installs, builds and leaves no development dependency', async () => {
  const local = (name: string) => JSON.stringify({ name, version: '1.0.0' });
  using stage = aStage({
    'package.json': JSON.stringify({
      name: 'app',
      version: '1.0.0',
      dependencies: { used: 'file:./packages/used' },
      devDependencies: { tool: 'file:./packages/tool' },
      scripts: { build: 'ls node_modules > built; echo $NODE_ENV >> built; mkdir node_modules/.cache' },
    }),
    'packages/used/package.json': local('used'),
    'packages/tool/package.json': local('tool'),
  });
  await nodejsBuildpack.compile(stage);
  expect(readFileSync(join(stage.app, 'built'), 'utf8')).toBe('tool\nused\nproduction\n');
  expect(existsSync(join(stage.app, 'node_modules/used'))).toBe(true);
  expect(existsSync(join(stage.app, 'node_modules/tool'))).toBe(false);
  expect(existsSync(join(stage.app, 'node_modules/.cache'))).toBe(false);
  expect(existsSync(join(stage.cache, 'build/node_modules/.cache'))).toBe(true);
});

test('nodejs_buildpack says why a build failed and what to do', async () => {
  using lock = aStage({
    'package.json': '{"name":"a","version":"1.0.0","dependencies":{"b":"file:./b"}}',
    'b/package.json': '{"name":"b","version":"1.0.0"}',
    'package-lock.json':
      '{"name":"a","version":"1.0.0","lockfileVersion":3,"packages":{"":{"name":"a","version":"1.0.0"}}}',
  });
  await expect(nodejsBuildpack.compile(lock)).rejects.toMatchObject({
    title: 'BuildpackCompileFailed',
    message: expect.stringMatching(
      /"npm ci --omit=dev" failed \(exit status 1\): package.json and its lockfile do not agree/,
    ),
  });
  using script = aStage({ 'package.json': '{"scripts":{"build":"no-such-tool"}}' });
  await expect(nodejsBuildpack.compile(script)).rejects.toThrow(
    /"npm run build" failed .*must stand in "devDependencies"/,
  );
  using text = aStage({ 'package.json': '{"name":' });
  await expect(nodejsBuildpack.compile(text)).rejects.toThrow(/package.json cannot be read.*Mend it/);
});

test('nodejs_buildpack sees what pushed node_modules lack', async () => {
  using stage = aStage({
    'package.json': '{"dependencies":{"a":"1","b":"1"}}',
    'node_modules/a/package.json': '{"scripts":{"install":"true"}}',
    'node_modules/b/package.json': '{"bin":"x.js"}',
  });
  stage.run = async argv => void stage.ran.push(argv.join(' '));
  await nodejsBuildpack.compile(stage);
  expect(stage.ran).toEqual(['npm rebuild']);
});

/** As a native module installs: it wants headers, and has no network to fetch them. */
const NATIVE = JSON.stringify({
  scripts: {
    install:
      'test -d "$npm_config_nodedir/include/node" || { echo "gyp ERR! getaddrinfo ENOTFOUND nodejs.org"; exit 1; }',
  },
});

test("nodejs_buildpack fetches headers from the registry's package of Node.js for a native module that found none", async () => {
  using stage = aStage({ 'package.json': NATIVE });
  const packed: string[] = [];
  const read = async (argv: readonly string[]): Promise<string> => {
    packed.push(argv[2] ?? '');
    using tree = aFolder({ 'package/include/node/node.h': '', 'package/bin/node': '' });
    spawnSync('tar', ['-czf', join(argv.at(-1) ?? '', 'n.tgz'), '-C', tree.path, 'package']);
    return 'n.tgz\n';
  };
  const twice = { ...stage, read };
  await nodejsBuildpack.compile(twice);
  await nodejsBuildpack.compile(twice);
  expect(packed).toEqual([`node-${process.platform}-${process.arch}@${process.versions.node}`]);
});

test('nodejs_buildpack says what a native module said, where the headers are not to be had', async () => {
  using stage = aStage({ 'package.json': NATIVE });
  const read = async (argv: readonly string[]): Promise<string> => {
    throw new CommandFailedError(argv, { code: 1, signal: null, output: 'npm error E404' });
  };
  await expect(nodejsBuildpack.compile({ ...stage, read })).rejects.toThrow(
    /failed \(exit status 1\): the headers of Node\.js could not be fetched/,
  );
});

test('nodejs_buildpack installs by a lockfile without asking the registry, and asks where what is cached lacks a version', async () => {
  using stage = aStage({
    'package.json': '{"name":"a","version":"1.0.0","dependencies":{"b":"1"}}',
    'package-lock.json': '{"name":"a","version":"1.0.0","lockfileVersion":3,"packages":{}}',
  });
  const ran: string[] = [];
  stage.run = async (argv, environment) => {
    ran.push(argv.join(' '));
    expect(environment?.NODE_COMPILE_CACHE).toBe(join(stage.cache, 'compile'));
    if (argv.includes('--prefer-offline'))
      throw new CommandFailedError(argv, { code: 1, signal: null, output: 'npm error code ETARGET' });
  };
  await nodejsBuildpack.compile(stage);
  expect(ran).toEqual(['npm ci --omit=dev --prefer-offline', 'npm ci --omit=dev']);
});
