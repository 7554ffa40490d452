import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { type RequestCounts, requestCounts } from '@cupola/contract/internal';
import { pino } from 'pino';
import { Client } from 'undici';
import { expect, test } from 'vitest';
import { createLatency } from './latency.ts';
import { startTellingCounts } from './tell-counts.ts';

/** An API that takes counts, or refuses them. */
async function anApi() {
  const state = { status: 204, heard: [] as RequestCounts[] };
  const server = http.createServer((request, response) => {
    let text = '';
    request.on('data', chunk => {
      text += chunk;
    });
    request.on('end', () => {
      state.heard.push(requestCounts.parse(JSON.parse(text)));
      response.writeHead(state.status).end();
    });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const client = new Client(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  return {
    state,
    client,
    [Symbol.asyncDispose]: async () => {
      await client.destroy();
      await new Promise(resolve => server.close(resolve));
    },
  };
}

test('counts that the API does not take are told again as they were, and dropped after three tries', async () => {
  await using api = await anApi();
  const latency = createLatency();
  using teller = startTellingCounts({ client: api.client, latency, log: pino({ level: 'silent' }) });
  await teller.tell();
  expect(api.state.heard).toEqual([]);
  latency.observe('app-1', 200, 1);
  api.state.status = 503;
  await teller.tell();
  latency.observe('app-1', 200, 1);
  await teller.tell();
  const [first, again] = api.state.heard;
  expect(again).toEqual(first);
  await teller.tell();
  api.state.status = 204;
  await teller.tell();
  const last = api.state.heard.at(-1);
  expect(last?.sequence).toBeGreaterThan(first?.sequence ?? 0);
  expect(last?.apps[0]?.numbers[0]).toBe(1);
});
