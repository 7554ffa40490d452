/** Copies on other machines: an agent of the protocol's kind stands before a backend of this one. */
import { on, once } from 'node:events';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import tls, { type TLSSocket } from 'node:tls';
import { API_LINK_NAME, PUBLIC_API_NAME } from '@cupola/certificates/members/dial';
import { type TestCluster, testCluster } from '@cupola/certificates/members/fixtures';
import { CONNECTED, forwardedGuid, LINK } from '@cupola/certificates/members/forwarding';
import type { Member } from '@cupola/certificates/members/names';
import { freePort } from '@cupola/process/free-port';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { aDestination, aRoute, aRouter, ask, httpBackend, raw } from './fixtures.ts';
import type { RouterSettings } from './settings.ts';

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
  /** Says and takes nothing more, as a machine without power. */
  freeze(): void;
  /** Names of the copies that were asked for, one each connection. */
  readonly asked: string[];
}

/** Passes what is for `copies` (guid to port) on, and ends what is for others. */
async function anAgent(
  copies: Record<string, number>,
  member: Member = { role: 'agent', id: 'far' },
  atPort = 0,
): Promise<FakeAgent> {
  const asked: string[] = [];
  const sockets = new Set<tls.TLSSocket>();
  let frozen = false;
  const server = tls.createServer(
    { ...(await cluster.identity([member])), requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' },
    socket => {
      const guid = forwardedGuid(socket.servername) ?? '';
      socket.on('error', () => undefined);
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      if (frozen) return;
      if (guid === LINK) {
        socket.write(Uint8Array.of(CONNECTED));
        socket.pipe(socket);
        return;
      }
      asked.push(guid);
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
  server.listen(atPort, '127.0.0.1');
  await once(server, 'listening');
  open.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    freeze: () => {
      frozen = true;
      for (const socket of sockets) {
        socket.unpipe();
        socket.pause();
        for (const listener of socket.listeners('data')) socket.off('data', listener as () => void);
      }
    },
  };
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

const routerOf = async (agents: Parameters<typeof farRoute>[0], settings: Partial<RouterSettings> = {}) =>
  aRouter([farRoute(agents)], {
    settings,
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

/** Silent for longer than a busy machine stands still between two looks. */
const QUICK = { linkPingMs: 20, linkSilenceMs: 500 };

test('what is under way on a machine that falls silent is asked of another, and nothing more is sent there', async () => {
  const never = Promise.withResolvers<void>();
  await using silent = await httpBackend(() => never.resolve());
  await using other = await httpBackend((_request, response) => response.end('the other'));
  const [first, second] = [
    await anAgent({ 'copy-0': silent.port }),
    await anAgent({ 'copy-1': other.port }, { role: 'agent', id: 'far-2' }),
  ];
  await using router = await routerOf([first, { port: second.port, cellId: 'far-2' }], QUICK);
  const answers = [ask(router.port), ask(router.port)];
  await never.promise;
  first.freeze();
  for (const answer of answers) expect((await answer).body).toBe('the other');
  const before = first.asked.length;
  for (let times = 0; times < 5; times++) expect((await ask(router.port)).body).toBe('the other');
  expect(first.asked.length).toBe(before);
});

test('what is under way through an agent that is killed is asked of another copy', async () => {
  const reached = Promise.withResolvers<void>();
  await using silent = await httpBackend(() => reached.resolve());
  await using other = await httpBackend((_request, response) => response.end('the other'));
  const agent = await anAgent({ 'copy-0': silent.port });
  const second = await anAgent({ 'copy-1': other.port }, { role: 'agent', id: 'far-2' });
  // What the kernel says for a process that is gone: a reset of each of its connections.
  const connections: net.Socket[] = [];
  const front = net.createServer(client => {
    connections.push(client);
    client.on('error', () => undefined);
    const to = net.connect(agent.port, '127.0.0.1').on('error', () => undefined);
    client.pipe(to).pipe(client);
  });
  await once(front.listen(0, '127.0.0.1'), 'listening');
  open.push(() => front.close());
  await using router = await routerOf([
    { port: (front.address() as AddressInfo).port },
    { port: second.port, cellId: 'far-2' },
  ]);
  const answers = [ask(router.port), ask(router.port)];
  await reached.promise;
  for (const connection of connections) connection.resetAndDestroy();
  for (const answer of answers) expect((await answer).body).toBe('the other');
});

test('a request that must not be repeated is answered, not left to wait', async () => {
  const reached = Promise.withResolvers<void>();
  await using silent = await httpBackend(() => reached.resolve());
  const agent = await anAgent({ 'copy-0': silent.port });
  await using router = await routerOf([agent], QUICK);
  const answer = ask(router.port, { method: 'POST', body: 'pay' });
  await reached.promise;
  agent.freeze();
  const { status, headers } = await answer;
  expect([status, headers['x-cf-routererror']]).toEqual([502, 'endpoint_failure (its machine does not answer)']);
});

test('a WebSocket and a stream end with their machine, also long after the last request', async () => {
  await using backend = await httpBackend((_request, response) => response.write('begun'));
  const upgraded = Promise.withResolvers<Duplex>();
  backend.server.on('upgrade', (_request, socket) => {
    upgraded.resolve(socket);
    socket.on('error', () => undefined);
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello');
  });
  const agent = await anAgent({ 'copy-0': backend.port });
  await using router = await routerOf([agent], { ...QUICK, linkIdleMs: 1 });
  const begin = async (head: string, until: string) => {
    const socket = net.connect(router.port, '127.0.0.1');
    open.push(() => void socket.destroy());
    socket.on('error', () => undefined);
    socket.write(`GET / HTTP/1.1\r\nHost: app.localhost\r\n${head}\r\n`);
    let text = '';
    for await (const [chunk] of on(socket, 'data') as AsyncIterable<[Buffer]>) {
      text += chunk.toString('latin1');
      if (text.includes(until)) return socket;
    }
    throw new Error('it has ended');
  };
  const both = [await begin('Connection: Upgrade\r\nUpgrade: websocket\r\n', 'hello'), await begin('', 'begun')];
  const looks = new Promise(resolve => setTimeout(resolve, 5 * QUICK.linkPingMs));
  await looks;
  for (const socket of both) expect(socket.destroyed).toBe(false);
  agent.freeze();
  await Promise.all(both.map(socket => once(socket.resume(), 'close')));
  (await upgraded.promise).destroy();
});

test('the only copy of an app is still tried on a machine whose agent has just ended', async () => {
  await using backend = await httpBackend((_request, response) => response.end('back'));
  const copies: Record<string, number> = { 'copy-0': backend.port };
  const agent = await anAgent(copies, undefined, await freePort());
  await using router = await routerOf([agent], QUICK);
  expect((await ask(router.port)).body).toBe('back');
  for (const close of open.splice(0)) close();
  const again = await anAgent(copies, undefined, agent.port);
  expect((await ask(router.port)).body).toBe('back');
  expect(again.asked).toEqual(['copy-0']);
});

test('requests for the only copy wait for its agent, those too that were under way through it', async () => {
  const reached = Promise.withResolvers<void>();
  let requests = 0;
  await using backend = await httpBackend((_request, response) => {
    reached.resolve();
    if (requests++ > 0) response.end('alive');
  });
  const agent = await anAgent({ 'copy-0': backend.port });
  const connections = new Set<net.Socket>();
  let isThere = true;
  const front = net.createServer(client => {
    client.on('error', () => undefined);
    if (!isThere) return void client.resetAndDestroy();
    connections.add(client);
    const to = net.connect(agent.port, '127.0.0.1').on('error', () => undefined);
    client.pipe(to).pipe(client);
  });
  await once(front.listen(0, '127.0.0.1'), 'listening');
  open.push(() => front.close());
  await using router = await routerOf([{ port: (front.address() as AddressInfo).port }], {
    ...QUICK,
    dialGraceMs: 50,
    agentLookMs: 10,
  });
  const underWay = ask(router.port);
  await reached.promise;
  isThere = false;
  for (const connection of connections) connection.resetAndDestroy();
  const later = ask(router.port);
  await new Promise(resolve => setTimeout(resolve, 500));
  isThere = true;
  for (const answer of [underWay, later]) expect((await answer).body).toBe('alive');
});

test('a copy whose agent was away when it was dialled takes requests again once that is back, though the table says nothing new', async () => {
  await using backend = await httpBackend((_request, response) => response.end('back'));
  await using other = await httpBackend((_request, response) => response.end('the other'));
  const second = await anAgent({ 'copy-1': other.port }, { role: 'agent', id: 'far-2' });
  const copies = { 'copy-0': backend.port };
  const away = await anAgent(copies, undefined, await freePort());
  for (const close of open.splice(1)) close();
  await using router = await routerOf([away, { port: second.port, cellId: 'far-2' }], QUICK);
  for (let times = 0; times < 4; times++) expect((await ask(router.port)).body).toBe('the other');
  await anAgent(copies, undefined, away.port);
  await expect.poll(async () => (await ask(router.port)).body).toBe('back');
});

interface FakeApi {
  port: number;
  close(): void;
  /** Says nothing more, as a process that was stopped. */
  freeze(): void;
}

/** Answers its name. */
async function anApi(name: string): Promise<FakeApi> {
  const own = await cluster.identity([{ role: 'api', id: name }]);
  const links = new Set<TLSSocket>();
  let isFrozen = false;
  const server = https.createServer(
    { ...own, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' },
    ({ socket }, response) => {
      if (!isFrozen) response.end((socket as TLSSocket).servername === PUBLIC_API_NAME ? name : 'taken for its own');
    },
  );
  const [serveHttp] = server.listeners('secureConnection');
  server.removeAllListeners('secureConnection').on('secureConnection', socket => {
    if (socket.servername !== API_LINK_NAME) return void serveHttp?.call(server, socket);
    links.add(socket);
    socket.on('error', () => undefined);
    if (isFrozen) return;
    socket.write(Uint8Array.of(CONNECTED));
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = (): void => {
    server.close();
    server.closeAllConnections();
    for (const link of links) link.destroy();
  };
  open.push(close);
  return {
    port: (server.address() as AddressInfo).port,
    close,
    freeze: () => {
      isFrozen = true;
      for (const link of links) link.unpipe();
    },
  };
}

/** So many that each API has some of them, whatever their addresses are. */
const CLIENTS = 40;

async function routerOfApis(apis: readonly FakeApi[], settings: Partial<RouterSettings> = {}) {
  const router = await aRouter([], {
    settings,
    membership: { identity: await cluster.source({ role: 'router', id: 'r1' }), ownCellId: null },
    system: { names: ['api.localhost'], places: apis.map(({ port }) => ({ host: '127.0.0.1', port })) },
  });
  const as = async (who: string): Promise<string> =>
    (await ask(router.port, { host: 'api.localhost', headers: { authorization: who } })).body;
  return { as, [Symbol.asyncDispose]: () => router[Symbol.asyncDispose]() };
}

test('requests to the API go to one of several by who asks, and to another when it is gone', async () => {
  const apis = [await anApi('one'), await anApi('two')];
  await using router = await routerOfApis(apis);
  const firsts = await Promise.all(Array.from({ length: CLIENTS }, (_, index) => router.as(`bearer ${index}`)));
  expect(new Set(firsts)).toEqual(new Set(['one', 'two']));
  for (const [index, first] of firsts.entries()) expect(await router.as(`bearer ${index}`)).toBe(first);
  apis[0]?.close();
  for (const index of firsts.keys()) expect(await router.as(`bearer ${index}`)).toBe('two');
});

test('requests to an API that is frozen are asked of another one, also those that it has taken already', async () => {
  const apis = [await anApi('one'), await anApi('two')];
  await using router = await routerOfApis(apis, { ...QUICK, apiSilenceMs: QUICK.linkSilenceMs });
  const whose = await Promise.all(Array.from({ length: CLIENTS }, (_, index) => router.as(`bearer ${index}`)));
  apis[0]?.freeze();
  const answers = await Promise.all(whose.map((_, index) => router.as(`bearer ${index}`)));
  expect(whose).toContain('one');
  expect(answers).toEqual(whose.map(() => 'two'));
});
