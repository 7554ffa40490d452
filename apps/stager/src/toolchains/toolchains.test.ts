import { lstatSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeApi, readTar, startFakeApi } from '../fixtures.ts';
import { type InternalClient, openInternal } from '../internal-client.ts';
import type { NpmClient } from '../npm-client.ts';
import { archiveOf, packageArchive } from '../registry.fixture.ts';
import { openToolchains } from './toolchains.ts';

let folder: string;
let api: FakeApi;
let client: InternalClient;
let nowMs: number;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cupola-tool-'));
  api = await startFakeApi();
  client = openInternal({ socketPath: api.socketPath }, 's');
  nowMs = 0;
});
afterEach(async () => {
  await client.close();
  await api[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

interface Registry extends NpmClient {
  asked: string[];
  isAway: boolean;
}
/** A registry with three versions of pnpm, each one file. */
function aRegistry(): Registry {
  const registry: Registry = {
    asked: [],
    isAway: false,
    versions: async name => {
      registry.asked.push(`versions ${name}`);
      if (registry.isAway) throw new Error('no network');
      return ['8.0.0', '9.0.0', '9.1.0'];
    },
    fetch: async (name, version, into) => {
      registry.asked.push(`fetch ${name}@${version}`);
      const json = JSON.stringify({ name, version, bin: { pnpm: 'bin/pnpm.cjs' } });
      const files = { 'package.json': json, 'bin/pnpm.cjs': '#!/usr/bin/env node\n', 'docs/a.md': 'read me' };
      writeFileSync(join(into, 'p.tgz'), packageArchive({ name, version, files }));
      return join(into, 'p.tgz');
    },
    settings: async () => ({ npmrc: '', cafile: null }),
  };
  return registry;
}
const open = (npm: NpmClient, name = 'one') =>
  openToolchains({ client, npm, folder: join(folder, name), now: () => nowMs });
const ask = (range: string) => ({ name: 'pnpm', range, nodeVersion: '24.21.0' }) as const;

test('ensure() lays the newest of a range out, with its programs, and stores it as a layer under its key', async () => {
  const toolchains = open(aRegistry());
  const made = await toolchains.ensure(ask('9.x'));
  expect(made).toMatchObject({
    name: 'pnpm',
    version: '9.1.0',
    folderName: 'pnpm-9.1.0',
    layer: { kind: 'toolchain', mountPath: '/toolchains/pnpm-9.1.0' },
  });
  const tree = join(toolchains.folder, 'pnpm-9.1.0');
  expect(readlinkSync(join(tree, 'bin/pnpm'))).toBe('../lib/node_modules/pnpm/bin/pnpm.cjs');
  expect(lstatSync(join(tree, 'lib/node_modules/pnpm/bin/pnpm.cjs')).mode & 0o777).toBe(0o755);
  expect(api.toolchains.get('pnpm-9.1.0')).toMatchObject({ version: '9.1.0', layer: made.layer });
  const files = await readTar(api.layers.get(made.layer.digest) as Buffer);
  expect(files.has('toolchains/pnpm-9.1.0/bin/pnpm')).toBe(true);
  expect([...files.keys()].filter(name => name.includes('docs'))).toEqual([]);
});

test('ensure() makes a toolchain once, however many builds ask for it at once', async () => {
  const registry = aRegistry();
  const toolchains = open(registry);
  const all = await Promise.all([ask('9.x'), ask('9.x'), ask('9.1.0')].map(wanted => toolchains.ensure(wanted)));
  expect(new Set(all.map(({ layer }) => layer.digest)).size).toBe(1);
  expect(registry.asked.filter(asked => asked.startsWith('fetch'))).toEqual(['fetch pnpm@9.1.0']);
});

test('ensure() after a restart knows what it made, and stores it again when the API has lost it', async () => {
  const registry = aRegistry();
  const { layer } = await open(registry).ensure(ask('9.1.0'));
  api.layers.clear();
  registry.asked.length = 0;
  expect((await open(registry).ensure(ask('9.1.0'))).layer).toEqual(layer);
  expect(api.layers.has(layer.digest)).toBe(true);
  expect(registry.asked).toEqual([]);
});

test('ensure() records a toolchain whose layer was stored without its record', async () => {
  const { layer } = await open(aRegistry()).ensure(ask('9.1.0'));
  api.toolchains.clear();
  await open(aRegistry()).ensure(ask('9.1.0'));
  expect(api.toolchains.get('pnpm-9.1.0')?.layer).toEqual(layer);
});

test("ensure() takes another stager's toolchain from the API", async () => {
  const { layer } = await open(aRegistry()).ensure(ask('9.1.0'));
  const registry = aRegistry();
  const other = open(registry, 'two');
  expect((await other.ensure(ask('9.1.0'))).layer).toEqual(layer);
  expect(registry.asked.filter(asked => asked.startsWith('fetch'))).toEqual([]);
  expect(readFileSync(join(other.folder, 'pnpm-9.1.0/bin/pnpm'), 'utf8')).toContain('env node');
});

test('ensure() asks the registry once an hour, and lives without it by what it remembers', async () => {
  const registry = aRegistry();
  const toolchains = open(registry);
  await toolchains.ensure(ask('9.x'));
  await toolchains.ensure(ask('8.x'));
  expect(registry.asked.filter(asked => asked.startsWith('versions'))).toHaveLength(1);
  nowMs = 2 * 3_600_000;
  registry.isAway = true;
  expect((await toolchains.ensure(ask('9.x'))).version).toBe('9.1.0');
});

test('ensure() that failed leaves nothing, and works the next time', async () => {
  const registry = aRegistry();
  const broken = { ...registry, fetch: () => Promise.reject(new Error('cut off')) };
  await expect(open(broken).ensure(ask('9.x'))).rejects.toThrow('cut off');
  expect([api.toolchains.size, api.layers.size]).toEqual([0, 0]);
  expect((await open(registry).ensure(ask('9.x'))).version).toBe('9.1.0');
});

test('ensure() finds the program of an old Node.js, whose package holds an archive', async () => {
  const inner = archiveOf('node-v4.0.0-linux-x64', { 'bin/node': 'a program', 'README.md': 'read me' });
  const registry: NpmClient = {
    ...aRegistry(),
    versions: async () => ['4.0.0'],
    fetch: async (name, version, into) => {
      const files = { 'node-v4.0.0-linux-x64.tar.gz': inner };
      writeFileSync(join(into, 'p.tgz'), packageArchive({ name, version, files }));
      return join(into, 'p.tgz');
    },
  };
  const toolchains = open(registry);
  await toolchains.ensure({ name: 'node', range: '4.0.0', nodeVersion: null });
  expect(readFileSync(join(toolchains.folder, 'node-4.0.0/bin/node'), 'utf8')).toBe('a program');
});
