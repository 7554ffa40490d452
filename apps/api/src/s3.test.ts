/** The API over blobs on a real S3 server: what stands on files of this machine elsewhere. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { unzip } from '@cupola/archive/unzip';
import { openS3Blobs } from '@cupola/blobs/s3';
import { type S3Server, startS3 } from '@cupola/blobs/s3-server';
import { aPackage } from '@cupola/store/fixtures';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTestApi, type TestAnswer } from './fixtures.ts';
import { anAppWithWeb, newPackage, offered, pushed, upload, uploadTo } from './packages/fixtures.ts';
import { sweepOnce } from './sweeper/sweeper.ts';

const HOUR_MS = 3_600_000;
let server: S3Server;
beforeAll(async () => {
  server = await startS3();
});
afterAll(() => server[Symbol.asyncDispose]());

async function open() {
  const stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'cupola-api-s3-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const url = server.bucket('blobs');
  /** As of another API, which has none of the files of this one. */
  const openBlobs = (name: string) => {
    const blobs = openS3Blobs({ url, folder: join(folder, name) });
    stack.defer(() => blobs.close());
    return blobs;
  };
  const api = stack.use(await startTestApi({ blobs: openBlobs('cache') }));
  /** Names in a package, as another API reads it. */
  const namesOf = async ({ body }: TestAnswer): Promise<string[]> => {
    const out = mkdtempSync(join(folder, 'out-'));
    const pack = await openBlobs('other').localFile(body.data.checksum.value);
    await unzip(pack ?? '', out, { unpackedMaxBytes: 1_000_000 });
    return readdirSync(out).sort();
  };
  return { ...api, namesOf, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

test('packages are made of what was sent, of matched files and of an earlier package', async () => {
  await using test = await open();
  const app = await anAppWithWeb(test);
  const first = await pushed(test, app.guid, {
    bits: [
      { name: 'a.js', content: 'a' },
      { name: 'b.js', content: 'b' },
    ],
  });
  expect(await test.namesOf(first)).toEqual(['a.js', 'b.js']);
  const matched = await pushed(test, app.guid, {
    bits: [{ name: 'c.js', content: 'c' }],
    resources: [offered('moved.js', 'a')],
  });
  expect(await test.namesOf(matched)).toEqual(['c.js', 'moved.js']);
  const base = { guid: first.body.guid, checksum: first.body.data.checksum.value, without: ['a.js'] };
  const changes = await uploadTo(test, `${await newPackage(test, app.guid)}/upload_changes`, { base });
  expect(await test.namesOf(changes)).toEqual(['b.js']);
});

test('an agent that asks for it reads layers from the server itself; others get them from here', async () => {
  await using test = await open();
  const { digest } = await test.deps.blobs.put(Readable.from(['a layer']));
  const ask = (path: string) =>
    new Promise<http.IncomingMessage>((resolve, reject) => {
      http.get({ socketPath: test.socketPath, path }, resolve).on('error', reject);
    });
  const { statusCode, headers } = await ask(`/internal/layers/${digest}?direct=true`);
  expect(statusCode).toBe(303);
  expect(await (await fetch(headers.location ?? '')).text()).toBe('a layer');
  const here = await ask(`/internal/layers/${digest}`);
  expect([here.statusCode, await text(here)]).toEqual([200, 'a layer']);
});

test('files of a pack that is gone are not offered again', async () => {
  await using test = await open();
  const app = await anAppWithWeb(test);
  const { body } = await pushed(test, app.guid, { bits: [{ name: 'a.js', content: 'a' }] });
  await test.deps.blobs.remove(body.data.checksum.value);
  const again = () => pushed(test, app.guid, { resources: [offered('a.js', 'a')] });
  expect((await again()).body.errors[0].detail).toMatch('Push again: it will be sent.');
  expect((await again()).body.errors[0].detail).toMatch('said to be here already, but it is not');
});

test('an upload while the server is away is a 503 that may be tried again, and then succeeds', async () => {
  await using test = await open();
  const app = await anAppWithWeb(test);
  const guid = await newPackage(test, app.guid);
  await server.kill();
  const refused = await upload(test, guid, { bits: [{ name: 'a.js', content: 'a' }] });
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '5']);
  await server.start();
  expect((await upload(test, guid, { bits: [{ name: 'a.js', content: 'a' }] })).status).toBe(200);
});

test('the sweeper takes what no row names once it is old enough', async () => {
  await using test = await open();
  const { blobs, store } = test.deps;
  const kept = await blobs.put(Readable.from(['kept']));
  await blobs.put(Readable.from(['orphan']));
  await aPackage(store, { state: 'READY', digest: kept.digest });
  const sweep = (laterMs: number) => sweepOnce({ ...test.deps, now: () => Date.now() + laterMs });
  const digests = async () => (await Array.fromAsync(blobs.list())).map(({ digest }) => digest);
  await sweep(HOUR_MS - 60_000);
  expect(await digests()).toHaveLength(2);
  await sweep(HOUR_MS + 60_000);
  expect(await digests()).toEqual([kept.digest]);
});
