import { createServer } from 'node:http';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { freePort } from './free-port.ts';
import { type Health, openHealth } from './health.ts';

const log = pino({ level: 'silent' });
let health: Health;
beforeEach(async () => {
  health = await openHealth({ listen: { host: '127.0.0.1', port: 0 }, log });
});
afterEach(() => health[Symbol.asyncDispose]());

async function ask(path: string): Promise<{ status: number; body: string }> {
  const response = await fetch(`http://127.0.0.1:${health.address()?.port}${path}`);
  return { status: response.status, body: await response.text() };
}

test('/healthz is well from the first moment; /readyz says what is missing, from the start to the drain', async () => {
  expect(await ask('/healthz')).toEqual({ status: 200, body: 'ok\n' });
  expect(await ask('/readyz')).toEqual({ status: 503, body: 'not ready: it is starting\n' });
  health.readyWhen(() => ({ missing: null }));
  expect(await ask('/readyz')).toEqual({ status: 200, body: 'ready\n' });
  health.readyWhen(async () => ({ missing: null, degraded: 'Redis does not answer' }));
  expect(await ask('/readyz')).toEqual({ status: 200, body: 'ready, but Redis does not answer\n' });
  health.readyWhen(async () => {
    throw new Error('connection refused\nat a place');
  });
  expect(await ask('/readyz')).toEqual({ status: 503, body: 'not ready: connection refused\n' });
  health.drain();
  expect(await ask('/readyz')).toEqual({ status: 503, body: 'not ready: it drains and ends\n' });
  expect((await ask('/healthz')).status).toBe(200);
});

test('/readyz answers although what is asked for does not', async () => {
  health.readyWhen(() => new Promise(() => undefined));
  expect(await ask('/readyz')).toEqual({
    status: 503,
    body: 'not ready: what it needs has not answered within 2 s\n',
  });
});

test('/metrics shows each kind of number, with its help', async () => {
  const { metrics } = health;
  metrics.counter({ name: 'a_total', help: 'Of a.', labels: ['kind'] }).add({ kind: 'x' }, 2);
  metrics
    .histogram({ name: 'b_seconds', help: 'Of b.', labels: ['route'], buckets: [0.1, 1] })
    .observe({ route: '/v3' }, 0.5);
  let cells = 3;
  metrics.read({ name: 'c', help: 'Of c.', labels: ['state'], kind: 'gauge' }, () => [[{ state: 'READY' }, cells--]]);
  metrics.read({ name: 'd_total', help: 'Of d.', labels: [], kind: 'counter' }, async () => [[{}, 7]]);
  metrics.text(() => '# HELP e Of e.\n# TYPE e gauge\ne 1');
  await ask('/metrics');
  const { status, body } = await ask('/metrics');
  expect(status).toBe(200);
  expect(body.endsWith('# HELP e Of e.\n# TYPE e gauge\ne 1\n')).toBe(true);
  expect(body.split('\n')).toEqual(
    expect.arrayContaining([
      ...['# HELP a_total Of a.', '# TYPE a_total counter', 'a_total{kind="x"} 2'],
      ...['# TYPE b_seconds histogram', 'b_seconds_bucket{le="0.1",route="/v3"} 0'],
      ...['b_seconds_bucket{le="1",route="/v3"} 1', 'b_seconds_sum{route="/v3"} 0.5'],
      ...['c{state="READY"} 2', '# TYPE d_total counter', 'd_total 7'],
    ]),
  );
});

test('/metrics leaves out what cannot be read', async () => {
  let isAway = false;
  health.metrics.read({ name: 'x', help: 'Of x.', labels: [], kind: 'gauge' }, async () => {
    if (isAway) throw new Error('the store is away');
    return [[{}, 5]];
  });
  expect((await ask('/metrics')).body).toMatch(/^x 5$/m);
  isAway = true;
  const { status, body } = await ask('/metrics');
  expect(status).toBe(200);
  expect(body).not.toMatch(/^x 5$/m);
});

test('nothing else is answered', async () => {
  expect((await ask('/')).status).toBe(404);
  const posted = await fetch(`http://127.0.0.1:${health.address()?.port}/metrics`, { method: 'POST' });
  expect(posted.status).toBe(405);
});

test('an address that is taken is waited for', async () => {
  const before = createServer();
  const port = await freePort();
  await new Promise<void>(resolve => before.listen(port, '127.0.0.1', resolve));
  await using waiting = await openHealth({ listen: { host: '127.0.0.1', port }, log });
  expect(waiting.address()).toBeNull();
  await new Promise(resolve => before.close(resolve));
  await vi.waitFor(() => expect(waiting.address()?.port).toBe(port), { timeout: 30_000 });
});
