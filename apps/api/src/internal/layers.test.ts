import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { aBuild, aDroplet } from '@cupola/store/fixtures';
import { expect, test, vi } from 'vitest';
import { startTestApi, type TestApi } from '../fixtures.ts';
import { callInternal } from './fixtures.ts';

const LAYER = Buffer.from('a tar of a layer');
const DIGEST = createHash('sha256').update(LAYER).digest('hex');
const URL = `/internal/layers/${DIGEST}`;

const call = (test: TestApi, method: string, path: string, body?: unknown) =>
  callInternal(test.socketPath, method, path, body);

async function aHeldBuild(test: TestApi): Promise<string> {
  const { guid } = await aBuild(test.deps.store, { fence: 3, stager: 's1', attempts: 1 });
  return `build=${guid}&fence=3`;
}

test('a layer is stored for who holds the build, and comes back as it was', async () => {
  await using test = await startTestApi();
  expect((await call(test, 'HEAD', URL)).status).toBe(404);
  expect((await call(test, 'PUT', `${URL}?${await aHeldBuild(test)}`, LAYER)).status).toBe(201);
  expect((await call(test, 'HEAD', URL)).status).toBe(200);
  expect(await call(test, 'GET', URL)).toEqual({ status: 200, body: LAYER });
});

test('a layer whose bytes are not what its digest says is refused and leaves nothing', async () => {
  await using test = await startTestApi();
  const answer = await call(test, 'PUT', `${URL}?${await aHeldBuild(test)}`, Buffer.from('other bytes'));
  expect(answer.status).toBe(422);
  expect((await call(test, 'HEAD', URL)).status).toBe(404);
});

test.each(['', '?build=b', '?build=b&fence=x'])('a layer that is nobody\'s is refused: "%s"', async query => {
  await using test = await startTestApi();
  expect((await call(test, 'PUT', `${URL}${query}`, LAYER)).status).toBe(400);
});

test('a damaged layer never comes whole, and its droplets are FAILED with the reason', async () => {
  await using test = await startTestApi();
  const { store, blobs } = test.deps;
  await blobs.put(Readable.from([LAYER]));
  const layers = [{ digest: DIGEST, sizeBytes: LAYER.length, kind: 'app', mountPath: '/home/vcap' }];
  const damaged = await aDroplet(store, { layers_json: JSON.stringify(layers) });
  const sound = await aDroplet(store);
  await writeFile((await blobs.localFile(DIGEST)) ?? '', 'A tar of a layer');
  await expect(call(test, 'GET', URL)).rejects.toThrow();
  await vi.waitFor(async () => {
    const droplets = await store.read.selectFrom('droplets').select(['guid', 'state', 'error']).execute();
    expect(droplets.find(({ guid }) => guid === damaged.guid)).toMatchObject({
      state: 'FAILED',
      error: 'Its stored bytes are damaged. Push again.',
    });
    expect(droplets.find(({ guid }) => guid === sound.guid)).toMatchObject({ state: 'STAGED' });
  }, 30_000);
});

const RECORD = {
  key: 'node-24.21.0-linux-x64',
  version: '24.21.0',
  layer: { digest: DIGEST, sizeBytes: LAYER.length, kind: 'toolchain', mountPath: '/toolchains/node-24.21.0' },
};

test('a toolchain is kept once its layer is stored, made by no build', async () => {
  await using test = await startTestApi();
  const url = `/internal/toolchains/${RECORD.key}`;
  expect((await call(test, 'GET', url)).status).toBe(404);
  expect((await call(test, 'PUT', url, RECORD)).status).toBe(422);
  expect((await call(test, 'PUT', `${URL}?toolchain=${RECORD.key}`, LAYER)).status).toBe(201);
  expect((await call(test, 'PUT', url, RECORD)).status).toBe(204);
  expect((await call(test, 'PUT', url, RECORD)).status).toBe(204);
  expect(await call(test, 'GET', url)).toEqual({ status: 200, body: RECORD });
});

test('a toolchain whose layer is gone is not there: it is made again', async () => {
  await using test = await startTestApi();
  await test.deps.blobs.put(Readable.from([LAYER]));
  const url = `/internal/toolchains/${RECORD.key}`;
  await call(test, 'PUT', url, RECORD);
  await test.deps.blobs.remove(DIGEST);
  expect((await call(test, 'GET', url)).status).toBe(404);
});

test('a toolchain that is there is not replaced; one whose layer is gone is', async () => {
  await using test = await startTestApi();
  const url = `/internal/toolchains/${RECORD.key}`;
  await test.deps.blobs.put(Readable.from([LAYER]));
  const other = await test.deps.blobs.put(Readable.from(['another']));
  const forged = { ...RECORD, layer: { ...RECORD.layer, digest: other.digest, sizeBytes: 7 } };
  await call(test, 'PUT', url, RECORD);
  expect((await call(test, 'PUT', url, forged)).status).toBe(204);
  expect((await call(test, 'GET', url)).body).toEqual(RECORD);
  await test.deps.blobs.remove(DIGEST);
  await call(test, 'PUT', url, forged);
  expect((await call(test, 'GET', url)).body).toEqual(forged);
});
