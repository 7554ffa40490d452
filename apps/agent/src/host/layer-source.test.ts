import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { silentLog } from '../fixtures.ts';
import { type InternalApi, RefusedByApiError } from '../session/internal-api.ts';
import { createLayerSource } from './layer-source.ts';

const DIGEST = 'd'.repeat(64);

/** A store that answers `status`, and an API that names it; `asked` is what each was asked for. */
async function world({ status = 200, isNamed = true } = {}) {
  const asked: string[] = [];
  const clock = { ms: 0 };
  const server = http.createServer((request, response) => {
    asked.push(`store ${request.url}`);
    response.writeHead(status).end('from the store');
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const stream: InternalApi['stream'] = async (_path, { query, elsewhere }) => {
    asked.push(query?.direct === 'true' ? 'api, direct' : 'api');
    if (query?.direct !== 'true' || !isNamed) return Readable.from(['from the API']);
    elsewhere?.(`http://127.0.0.1:${port}/blob?signature=s`);
    return Readable.from([]);
  };
  const ended = new AbortController();
  const source = createLayerSource({
    api: { stream },
    monotonic: () => clock.ms,
    signal: ended.signal,
    log: silentLog,
  });
  return {
    asked,
    clock,
    server,
    read: async (direct: boolean) => {
      const fetched = await source.fetch(DIGEST, { direct });
      return [await text(fetched.stream), fetched.isDirect];
    },
    [Symbol.asyncDispose]: async () => {
      await source.close();
      server.closeAllConnections();
      server.close();
    },
  };
}

test('a layer comes from the store where the API names one', async () => {
  await using at = await world();
  expect(await at.read(true)).toEqual(['from the store', true]);
  expect(at.asked).toEqual(['api, direct', 'store /blob?signature=s']);
});

test('and through the API where it names none, or where nobody wants it past the API', async () => {
  await using at = await world({ isNamed: false });
  expect(await at.read(true)).toEqual(['from the API', false]);
  await using other = await world();
  expect(await other.read(false)).toEqual(['from the API', false]);
  expect(other.asked).toEqual(['api']);
});

test('a store that refuses, or is not reached, costs nothing but a try each five minutes', async () => {
  await using at = await world({ status: 403 });
  for (let times = 0; times < 3; times++) expect(await at.read(true)).toEqual(['from the API', false]);
  expect(at.asked).toEqual(['api, direct', 'store /blob?signature=s', 'api', 'api', 'api']);
  at.server.closeAllConnections();
  await new Promise(resolve => at.server.close(resolve));
  at.clock.ms += 300_000;
  expect(await at.read(true)).toEqual(['from the API', false]);
  expect(at.asked.slice(5)).toEqual(['api, direct', 'api']);
});

test('what the API refuses is the answer', async () => {
  const refused = new RefusedByApiError('GET', { status: 404, said: 'no such layer' });
  const source = createLayerSource({
    api: { stream: () => Promise.reject(refused) },
    monotonic: () => 0,
    signal: new AbortController().signal,
    log: silentLog,
  });
  await expect(source.fetch(DIGEST, { direct: true })).rejects.toBe(refused);
  await source.close();
});
