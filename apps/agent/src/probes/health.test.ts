import { once } from 'node:events';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { healthCheck, until } from '../fixtures.ts';
import { probePort } from './dial.ts';
import { followReadiness, type Probed, startTimeoutMs, untilHealthy, untilUnhealthy } from './health.ts';

const start = (signal = new AbortController().signal, startedMsAgo = 0) => ({
  startedMsAgo,
  monotonic: () => performance.now(),
  signal,
});
const at = (port: number): Probed => ({
  address: { host: '127.0.0.1', port, network: null },
  pid: () => process.pid,
});

/** A server whose answers the test sets; it counts what it was asked. */
/** Of status null: it takes requests, and answers none. */
async function aServer() {
  const state: { status: number | null; asked: number } = { status: 200, asked: 0 };
  const server = http.createServer((_, response) => {
    state.asked++;
    if (state.status !== null) response.writeHead(state.status).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    state,
    port,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
    },
  };
}

/** A port that nobody listens on; none of those that the kernel lends, which somebody may have the next moment. */
async function aClosedPort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 5_000);
    if ((await probePort({ host: '127.0.0.1', port, timeoutMs: 1_000 })) !== null) return port;
  }
}

test('untilHealthy() resolves once the port is taken, which may be after many probes', async () => {
  const port = await aClosedPort();
  const healthy = untilHealthy(healthCheck({ type: 'port' }), at(port), start());
  const server = net.createServer();
  setTimeout(() => server.listen(port, '127.0.0.1'), 150);
  expect(await healthy).toBeNull();
  server.close();
});

test('untilHealthy() says what it found when the time is over, and where the app listens instead', async () => {
  await using elsewhere = await aServer();
  const port = await aClosedPort();
  const found = await untilHealthy(healthCheck({ type: 'port', timeoutMs: 100 }), at(port), start());
  expect(found?.facts.listening).toContainEqual(expect.objectContaining({ port: elsewhere.port }));
  const text = found?.reason;
  expect(text).toContain(`health check failed: connection refused on port ${port} (the app listens on port`);
  expect(text).toContain(String(elsewhere.port));
  expect(text).toContain(`instead of ${port}: it has to take the one in PORT)`);
});

test('untilHealthy() of the http kind waits for a 200', async () => {
  await using server = await aServer();
  server.state.status = 503;
  const healthy = untilHealthy(healthCheck({ type: 'http', endpoint: '/health' }), at(server.port), start());
  await until('asked', () => server.state.asked > 1);
  server.state.status = 200;
  expect(await healthy).toBeNull();
});

test('untilHealthy() of the http kind tells what the path answered, even when the last answer does not come', async () => {
  await using server = await aServer();
  server.state.status = 404;
  const check = healthCheck({ type: 'http', endpoint: '/health', timeoutMs: 2_000, invocationTimeoutMs: 300 });
  // Its time is not over before the answers end, whatever that takes.
  let mostMs = performance.now() + 1_000;
  const healthy = untilHealthy(check, at(server.port), {
    ...start(),
    monotonic: () => Math.min(performance.now(), mostMs),
  });
  await until('asked', () => server.state.asked > 1);
  server.state.status = null;
  mostMs = Number.POSITIVE_INFINITY;
  expect((await healthy)?.reason).toBe(
    `health check failed: GET /health on port ${server.port} answered 404, not 200; at last, no answer to GET /health on port ${server.port} within 300 ms`,
  );
});

test('untilHealthy() gives a start that another agent began only the rest of its time', async () => {
  const port = await aClosedPort();
  const check = healthCheck({ type: 'port', timeoutMs: 60_000 });
  const found = await untilHealthy(check, at(port), start(undefined, 70_000));
  expect(found?.reason).toContain('connection refused');
});

test('untilHealthy() ends when it is aborted, and takes the process kind for healthy at once', async () => {
  const port = await aClosedPort();
  const ended = new AbortController();
  const healthy = untilHealthy(healthCheck({ type: 'port' }), at(port), start(ended.signal));
  ended.abort();
  expect(await healthy).toBeNull();
  expect(await untilHealthy(healthCheck({ type: 'process' }), at(port), start())).toBeNull();
});

test('untilUnhealthy() takes one failed probe for the end', async () => {
  await using server = await aServer();
  const check = healthCheck({ type: 'http', endpoint: '/', intervalMs: 10 });
  const found = untilUnhealthy(check, at(server.port), new AbortController().signal);
  await until('asked', () => server.state.asked > 2);
  server.state.status = 500;
  expect((await found)?.reason).toContain(`health check failed: GET / on port ${server.port} answered 500, not 200`);
});

test('followReadiness() tells each change, and nothing else', async () => {
  await using server = await aServer();
  const ended = new AbortController();
  const told: boolean[] = [];
  const following = followReadiness(healthCheck({ type: 'http', endpoint: '/', intervalMs: 10 }), at(server.port), {
    wasReady: false,
    changed: ready => void told.push(ready),
    signal: ended.signal,
  });
  await until('asked', () => server.state.asked > 3);
  server.state.status = 503;
  await until('told', () => told.length === 2);
  ended.abort();
  await following;
  expect(told).toEqual([true, false]);
});

test('startTimeoutMs() is 60 s, or what the app asks for, up to 180 s', () => {
  expect([null, 90_000, 600_000].map(timeoutMs => startTimeoutMs(healthCheck({ timeoutMs })))).toEqual([
    60_000, 90_000, 180_000,
  ]);
});
