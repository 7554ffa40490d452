import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { isRoot, type MadeLayer, makeLayer, silentLog, tempFolder } from '../fixtures.ts';
import { type Layers, layerNames, openLayers } from './layers.ts';

interface Store {
  layers: Layers;
  fetched: string[];
}

/** @param inStore what comes past the API; null: nothing does. */
function open(folder: string, made: MadeLayer[], inStore: Buffer | null = null): Store {
  const fetched: string[] = [];
  const clock = { now: 1_700_000_000_000 };
  const layers = openLayers({
    folder,
    fetch: async (digest, { direct }) => {
      fetched.push(digest);
      const isDirect = direct && inStore !== null;
      const { tar = Buffer.alloc(0) } = made.find(({ layer }) => layer.digest === digest) ?? {};
      return { stream: Readable.from([isDirect ? inStore : tar]), isDirect };
    },
    log: silentLog,
    now: () => (clock.now += 1_000),
  });
  return { layers, fetched };
}

test('ensure() lays a layer out once, for all who ask at once, and finds it after a restart', async () => {
  using folder = tempFolder();
  const made = await makeLayer({ 'app/a.txt': 'a' });
  const first = open(folder.path, [made]);
  const paths = await Promise.all([1, 2, 3].map(() => first.layers.ensure(made.layer, null)));
  expect(readFileSync(join(paths[0] ?? '', 'app/a.txt'), 'utf8')).toBe('a');
  expect(first.fetched).toHaveLength(1);
  const second = open(folder.path, [made]);
  expect(await second.layers.ensure(made.layer, null)).toBe(paths[0]);
  expect(second.fetched).toEqual([]);
});

test.runIf(isRoot)('ensure() gives each app its own files, and toolchains to nobody', async () => {
  using folder = tempFolder();
  const app = await makeLayer({ 'app/a.txt': 'a' });
  const tool = await makeLayer({ 'bin/t': 't' }, { mountPath: '/toolchains/t', kind: 'toolchain' });
  const { layers } = open(folder.path, [app, tool]);
  const owners = [
    statSync(join(await layers.ensure(app.layer, 71_000), 'app/a.txt')).uid,
    statSync(join(await layers.ensure(app.layer, 71_001), 'app/a.txt')).uid,
    statSync(join(await layers.ensure(tool.layer, 71_000), 'bin/t')).uid,
  ];
  expect(owners).toEqual([71_000, 71_001, 0]);
});

test('ensure() refuses a layer whose bytes are not its digest, and leaves nothing of it', async () => {
  using folder = tempFolder();
  const [made, other] = [await makeLayer({ 'app/a.txt': 'a' }), await makeLayer({ 'app/a.txt': 'b' })];
  const { layers } = open(folder.path, [{ layer: made.layer, tar: other.tar }]);
  await expect(layers.ensure(made.layer, null)).rejects.toThrow('its bytes are not what its digest says');
  expect(readdirSync(join(folder.path, 'layers'))).toEqual([]);
});

test('what came past the API and is wrong is fetched through it, once', async () => {
  using folder = tempFolder();
  const [made, other] = [await makeLayer({ 'app/a.txt': 'a' }), await makeLayer({ 'app/b.txt': 'b' })];
  for (const wrong of [other.tar, made.tar.subarray(0, 700), Buffer.from('<html>')]) {
    const inner = join(folder.path, String(wrong.length));
    const { layers, fetched } = open(inner, [made], wrong);
    expect(readdirSync(join(await layers.ensure(made.layer, null), 'app'))).toEqual(['a.txt']);
    expect(fetched).toHaveLength(2);
  }
  const { layers, fetched } = open(join(folder.path, 'right'), [], made.tar);
  await layers.ensure(made.layer, null);
  expect(fetched).toHaveLength(1);
  const damaged = open(join(folder.path, 'damaged'), [{ ...made, tar: other.tar }], other.tar);
  await expect(damaged.layers.ensure(made.layer, null)).rejects.toThrow('its bytes are not what its digest says');
  expect(damaged.fetched).toHaveLength(2);
});

test('ensure() fetches again after an error', async () => {
  using folder = tempFolder();
  const made = await makeLayer({ 'app/a.txt': 'a' });
  const known: MadeLayer[] = [];
  const { layers } = open(folder.path, known);
  await expect(layers.ensure(made.layer, null)).rejects.toThrow();
  known.push(made);
  expect(readFileSync(join(await layers.ensure(made.layer, null), 'app/a.txt'), 'utf8')).toBe('a');
});

test('ensure() does not follow a link of the tar to its mount path', async () => {
  using folder = tempFolder();
  const made = await makeLayer({ 'app/a.txt': 'a' }, { mountPath: '/elsewhere' });
  const { layers } = open(folder.path, [made]);
  await expect(layers.ensure({ ...made.layer, mountPath: '/home/vcap' }, null)).rejects.toThrow(
    'has nothing at /home/vcap',
  );
  await expect(layers.ensure({ ...made.layer, mountPath: '/../../..' }, null)).rejects.toThrow('has nothing at');
});

test('openLayers() throws away what was half done, and what another boot may have left without its bytes', async () => {
  using folder = tempFolder();
  const made = await makeLayer({ 'app/a.txt': 'a' });
  const first = open(folder.path, [made]);
  await first.layers.ensure(made.layer, null);
  const root = join(folder.path, 'layers');
  mkdirSync(join(root, '.new-half'));
  writeFileSync(join(root, made.layer.digest, 'facts'), JSON.stringify({ boot: 'another', sizeBytes: 1 }));
  const second = open(folder.path, [made]);
  await second.layers.ensure(made.layer, null);
  expect(second.fetched).toHaveLength(1);
  expect(readdirSync(root)).toEqual([made.layer.digest]);
});

test('collect() keeps what is used and the newest of the rest within its budget', async () => {
  using folder = tempFolder();
  const gib = 1024 * 1024 * 1024;
  const made = await Promise.all(['a', 'b', 'c', 'd'].map(text => makeLayer({ 'app/a.txt': text })));
  const large = made.map(({ layer, tar }) => ({ layer: { ...layer, sizeBytes: gib / 2 }, tar }));
  const { layers } = open(folder.path, large);
  for (const { layer } of large) await layers.ensure(layer, null);
  const names = large.flatMap(({ layer }) => layerNames([layer], null));
  await layers.collect(() => new Set(names.slice(0, 1)));
  expect(readdirSync(join(folder.path, 'layers')).sort()).toEqual([names[0], names[2], names[3]].sort());
});

test('ensureImage() lays layers over each other once, and collect() takes what they take together', async () => {
  using folder = tempFolder();
  const ofImage = async (files: Record<string, string>): Promise<MadeLayer> => {
    const { layer, tar } = await makeLayer(files, { mountPath: '/' });
    return { layer: { ...layer, kind: 'image' }, tar };
  };
  const made = [
    await ofImage({ 'etc/a': 'below', 'etc/b': 'b' }),
    await ofImage({ 'etc/a': 'above', 'etc/.wh.b': '' }),
  ];
  const layers = made.map(({ layer }) => layer);
  const store = open(folder.path, made);
  const roots = await Promise.all([1, 2].map(() => store.layers.ensureImage(layers, null)));
  expect([readFileSync(join(roots[1] ?? '', 'etc/a'), 'utf8'), readdirSync(join(roots[0] ?? '', 'etc'))]).toEqual([
    'above',
    ['a'],
  ]);
  expect(store.fetched).toHaveLength(2);
  expect(readdirSync(join(folder.path, 'layers'))).toEqual(layerNames(layers, null));
  const damaged = open(folder.path, [{ layer: layers[0] as MadeLayer['layer'], tar: Buffer.from('x') }]);
  await expect(damaged.layers.ensureImage(layers.slice(0, 1), null)).rejects.toThrow(/the bytes of its layer/);
});
