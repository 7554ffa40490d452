/** Copies on other machines: an agent of the protocol's kind stands before a backend of this one. */
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import tls from 'node:tls';
import { type TestCluster, testCluster } from '@cupola/certificates/members/fixtures';
import { CONNECTED, forwardedGuid } from '@cupola/certificates/members/forwarding';
import type { Member } from '@cupola/certificates/members/names';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { aDestination, aRoute, aRouter, ask, httpBackend, raw } from './fixtures.ts';

let cluster: TestCluster;
const open: Array<() => void> = [];
beforeAll(async () => {
  cluster = await testCluster();
});
afterEach(() => {
  for (const close of open.splice(0)) close();
});

interface FakeAgent {
  port: number;
  /** Names of the copies that were asked for, one each connection. */
  readonly asked: string[];
}

/** Passes what is for `copies` (guid to port) on, and ends what is for others. */
async function anAgent(
  copies: Record<string, number>,
  member: Member = { role: 'agent', id: 'far' },
): Promise<FakeAgent> {
  const asked: string[] = [];
  const server = tls.createServer(
    { ...(await cluster.identity([member])), requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' },
    socket => {
      const guid = forwardedGuid(socket.servername) ?? '';
      asked.push(guid);
      socket.on('error', () => undefined);
      const port = copies[guid];
      if (port === undefined) return void socket.destroy();
      const copy = net.connect(port, '127.0.0.1', () => {
        socket.write(Uint8Array.of(CONNECTED));
        socket.pipe(copy).pipe(socket);
      });
      copy.on('error', () => socket.destroy());
      socket.on('close', () => copy.destroy());
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push(() => server.close());
  return { port: (server.address() as AddressInfo).port, asked };
}

function farRoute(agents: ReadonlyArray<{ port: number; cellId?: string; near?: number }>) {
  const endpoints = agents.map(({ port, cellId = 'far', near = 1 }, index) => ({
    instanceGuid: `copy-${index}`,
    index,
    // Nothing of this machine: a router that dialled it would be told so.
    host: '127.0.0.1',
    port: near,
    via: { cellId, host: '127.0.0.1', port },
  }));
  return aRoute({ destinations: [aDestination({ endpoints })] });
}

const routerOf = async (agents: Parameters<typeof farRoute>[0]) =>
  aRouter([farRoute(agents)], {
    membership: { identity: await cluster.source({ role: 'router', id: 'r1' }), ownCellId: 'here' },
  });

test('a copy on another machine answers through its agent, again and again over one connection', async () => {
  await using backend = await httpBackend((request, response) => response.end(`far ${request.url}`));
  const agent = await anAgent({ 'copy-0': backend.port });
  await using router = await routerOf([agent]);
  for (const path of ['/one', '/two']) expect((await ask(router.port, { path })).body).toBe(`far ${path}`);
  expect(agent.asked).toEqual(['copy-0']);
});

test('a body goes and comes', async () => {
  await using backend = await httpBackend((request, response) => request.pipe(response));
  const agent = await anAgent({ 'copy-0': backend.port });
  await using router = await routerOf([agent]);
  const body = 'x'.repeat(300_000);
  expect((await ask(router.port, { method: 'POST', body })).body).toBe(body);
});

test('a copy that its agent does not know any more is passed over, whatever the request', async () => {
  await using backend = await httpBackend((_request, response) => response.end('the other'));
  const [first, second] = [await anAgent({}), await anAgent({ 'copy-1': backend.port })];
  await using router = await routerOf([first, second]);
  for (let times = 0; times < 4; times++) expect((await ask(router.port, { method: 'POST' })).body).toBe('the other');
  expect(first.asked.length).toBeGreaterThan(0);
});

test('whoever has come to the address of an agent gets nothing', async () => {
  await using backend = await httpBackend((_request, response) => response.end('stolen'));
  const other = await anAgent({ 'copy-0': backend.port }, { role: 'agent', id: 'other' });
  await using router = await routerOf([other]);
  expect((await ask(router.port)).status).toBe(502);
  expect(other.asked).toEqual([]);
});

test('a copy on the same machine is dialled as it is', async () => {
  await using backend = await httpBackend((_request, response) => response.end('near'));
  const agent = await anAgent({});
  await using router = await routerOf([{ port: agent.port, cellId: 'here', near: backend.port }]);
  expect((await ask(router.port)).body).toBe('near');
  expect(agent.asked).toEqual([]);
});

test('a WebSocket goes through an agent', async () => {
  await using backend = await httpBackend((_request, response) => response.end());
  backend.server.on('upgrade', (_request, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello');
    socket.end();
  });
  const agent = await anAgent({ 'copy-0': backend.port });
  await using router = await routerOf([agent]);
  const text = await raw(
    router.port,
    'GET / HTTP/1.1\r\nHost: app.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  );
  expect(text).toMatch(/^HTTP\/1.1 101 /);
  expect(text).toContain('hello');
});
