/** What makes an image unfit, and what of it is fetched, by a registry that says anything. A real one, and what runs: test/docker-image.test.ts. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BuildOrder } from '@cupola/contract/internal';
import { tenantsPolicy } from '@cupola/images/registry/policy';
import { expect, onTestFinished, test } from 'vitest';
import type { InternalClient } from './internal-client.ts';
import { ImageRefusedError, stageImage } from './stage-image.ts';

const ARCHITECTURE = process.arch === 'arm64' ? 'arm64' : 'amd64';
const TAR = 'application/vnd.oci.image.layer.v1.tar';
const digestOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

interface Said {
  config?: Record<string, unknown>;
  layers?: Array<{ text: string; mediaType?: string; size?: number }>;
}

/** A registry that has `r/app:1`, and what of its blobs was asked for. */
async function registryWith({ config = {}, layers = [] }: Said): Promise<{ host: string; asked: string[] }> {
  const blobs = new Map<string, Buffer>();
  const keep = (bytes: Buffer) => {
    blobs.set(`/v2/r/app/blobs/sha256:${digestOf(bytes)}`, bytes);
    return { digest: `sha256:${digestOf(bytes)}`, size: bytes.length };
  };
  const manifest = {
    config: keep(Buffer.from(JSON.stringify({ os: 'linux', architecture: ARCHITECTURE, ...config }))),
    layers: layers.map(({ text, mediaType = TAR, size }) => {
      const kept = keep(Buffer.from(text));
      return { ...kept, mediaType, size: size ?? kept.size };
    }),
  };
  blobs.set('/v2/r/app/manifests/1', Buffer.from(JSON.stringify(manifest)));
  const asked: string[] = [];
  const server = http.createServer((request, response) => {
    asked.push(request.url ?? '');
    const bytes = blobs.get(request.url ?? '');
    response.writeHead(bytes === undefined ? 404 : 200).end(bytes);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise(resolve => server.close(resolve));
  });
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

async function staged(host: string, { known = [], has = [] }: { known?: string[]; has?: string[] } = {}) {
  const work = mkdtempSync(join(tmpdir(), 'cupola-stage-image-'));
  onTestFinished(() => rmSync(work, { recursive: true }));
  const put: string[] = [];
  const client = {
    hasLayer: async (digest: string) => has.includes(digest),
    putLayer: async ({ digest }: { digest: string }) => void put.push(digest),
  } as unknown as InternalClient;
  const order = { image: { name: `${host}/r/app:1`, login: null, known } } as BuildOrder & {
    image: NonNullable<BuildOrder['image']>;
  };
  const { signal } = new AbortController();
  const deps = { client, registries: tenantsPolicy([host]) };
  const result = await stageImage(deps, order, { work, say: () => undefined, signal });
  return { result, put, left: readdirSync(work) };
}

test('stageImage() keeps each layer once, in the order of the image, and leaves no file', async () => {
  const layers = [{ text: 'one' }, { text: 'two' }, { text: 'one' }];
  const { result, put, left } = await staged((await registryWith({ layers })).host);
  const [one, two] = ['one', 'two'].map(text => digestOf(Buffer.from(text)));
  expect([put, left]).toEqual([[one, two], []]);
  expect(result.layers.map(({ digest }) => digest)).toEqual([one, two, one]);
});

test('stageImage() fetches no layer that its organization has, and any other, whoever has that', async () => {
  const { host, asked } = await registryWith({ layers: [{ text: 'ours' }, { text: 'theirs' }] });
  const [ours = '', theirs = ''] = ['ours', 'theirs'].map(text => digestOf(Buffer.from(text)));
  const { put } = await staged(host, { known: [ours], has: [ours, theirs] });
  expect(put).toEqual([theirs]);
  expect(asked.filter(path => path.includes(ours))).toEqual([]);
});

test.each<[string, Said, RegExp]>([
  ['another machine', { config: { architecture: 's390x' } }, /it is for linux\/s390x/],
  ['a part that is no layer', { layers: [{ text: '{}', mediaType: 'application/vnd.in-toto+json' }] }, /is no layer/],
  ['too much', { layers: [{ text: 'x', size: 9 * 1024 ** 3 }] }, /and 8192 MB at most/],
  ['too many layers', { layers: Array(128).fill({ text: 'x' }) }, /it has 128 layers, and 127/],
  ['a layer of other bytes', { layers: [{ text: 'x', size: 2 }] }, /other bytes than its name says/],
])('stageImage() refuses an image of %s, with what to do', async (_what, said, words) => {
  const refused = staged((await registryWith(said)).host);
  await expect(refused).rejects.toThrow(ImageRefusedError);
  await expect(refused).rejects.toMatchObject({ code: 'image-unfit', message: expect.stringMatching(words) });
  await expect(refused).rejects.toThrow(/Push another image\.$/);
});
