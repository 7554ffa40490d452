import { once } from 'node:events';
import net, { type AddressInfo, type Server } from 'node:net';
import tls, { type TLSSocket } from 'node:tls';
import { contextOf } from '@cupola/certificates/members/dial';
import { type TestCluster, testCluster } from '@cupola/certificates/members/fixtures';
import { CONNECTED, forwardName, LINK } from '@cupola/certificates/members/forwarding';
import type { IdentitySource } from '@cupola/certificates/members/identity';
import { afterEach, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { silentLog, until } from '../fixtures.ts';
import { type Forwarder, startForwarder } from './forwarder.ts';

let cluster: TestCluster;
let router: IdentitySource;
const open: Array<() => unknown> = [];
beforeAll(async () => {
  cluster = await testCluster();
  router = await cluster.source({ role: 'router', id: 'r1' });
});
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** Says `you said X` to the first that it hears. */
async function anInstance(): Promise<{ port: number; server: Server }> {
  const server = net.createServer(socket => {
    socket.on('error', () => undefined);
    socket.on('data', heard => socket.write(`you said ${heard}`));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push(() => void server.close());
  return { port: (server.address() as AddressInfo).port, server };
}

async function aForwarder(instances: Record<string, number>): Promise<Forwarder> {
  const forwarder = await startForwarder({
    identity: await cluster.source({ role: 'agent', id: 'cell-1' }),
    listen: { host: '127.0.0.1', port: 0 },
    addressOf: guid => (guid in instances ? { host: '127.0.0.1', port: instances[guid] ?? 0 } : null),
    peerAddressOf: () => null,
    log: silentLog,
  });
  open.push(() => forwarder[Symbol.asyncDispose]());
  return forwarder;
}

/** All that comes until the connection ends, or until it is `enough`. */
async function ask(
  { port }: Forwarder,
  guid: string,
  {
    as = router,
    enough = Number.POSITIVE_INFINITY,
    text = 'hi',
    hears = () => undefined,
  }: { as?: IdentitySource | null; enough?: number; text?: string; hears?(bytes: number): void } = {},
): Promise<Buffer> {
  const socket: TLSSocket = tls.connect({
    host: '127.0.0.1',
    port,
    servername: forwardName(guid),
    checkServerIdentity: () => undefined,
    ...(as === null ? { ca: cluster.authority.cert } : { secureContext: contextOf(as.current()) }),
  });
  socket.on('error', () => undefined);
  open.push(() => void socket.destroy());
  let heard = Buffer.alloc(0);
  const done = Promise.withResolvers<void>();
  socket.on('data', (chunk: Buffer) => {
    if (heard.length === 0) socket.write(text);
    heard = Buffer.concat([heard, chunk]);
    hears(heard.length);
    if (heard.length >= enough) done.resolve();
  });
  socket.on('close', () => done.resolve());
  await done.promise;
  return heard;
}

const ANSWER = Buffer.concat([Buffer.of(CONNECTED), Buffer.from('you said hi')]);

test('a router reaches the instance that it names', async () => {
  const forwarder = await aForwarder({ one: (await anInstance()).port });
  expect(await ask(forwarder, 'one', { enough: ANSWER.length })).toEqual(ANSWER);
});

test('an instance that is not here, or does not take the connection, is told before anything is passed', async () => {
  const gone = await anInstance();
  gone.server.close();
  const forwarder = await aForwarder({ gone: gone.port });
  expect(await ask(forwarder, 'other')).toHaveLength(0);
  expect(await ask(forwarder, 'gone')).toHaveLength(0);
});

test('nobody but a router of this cluster is heard', async () => {
  const { port, server } = await anInstance();
  let connections = 0;
  server.on('connection', () => connections++);
  const forwarder = await aForwarder({ one: port });
  const agent = await cluster.source({ role: 'agent', id: 'cell-2' });
  const stranger = await (await testCluster()).identity([{ role: 'router', id: 'r1' }]);
  const foreign = { current: () => ({ ...stranger, ca: cluster.authority.cert }) };
  for (const as of [agent, foreign, null]) expect(await ask(forwarder, 'one', { as })).toHaveLength(0);
  expect(connections).toBe(0);
});

test('a router that was removed is heard no more, also where it is connected', async () => {
  const { port, server } = await anInstance();
  const forwarder = await aForwarder({ one: port });
  const under = ask(forwarder, 'one', { enough: 1_000 });
  await until(
    'it is connected',
    () => new Promise<boolean>(resolve => server.getConnections((_, count) => resolve(count === 1))),
  );
  forwarder.refuse(['r1']);
  await under;
  expect(await ask(forwarder, 'one')).toHaveLength(0);
  expect(await ask(forwarder, LINK)).toHaveLength(0);
  const other = await cluster.source({ role: 'router', id: 'r2' });
  expect(await ask(forwarder, 'one', { as: other, enough: ANSWER.length })).toEqual(ANSWER);
});

test('a link sends back what it hears, and ends first', async () => {
  const forwarder = await aForwarder({});
  const heard = await ask(forwarder, LINK, { enough: 3 });
  expect(heard).toEqual(Buffer.concat([Buffer.of(CONNECTED), Buffer.from('hi')]));
  const agent = await cluster.source({ role: 'agent', id: 'cell-2' });
  expect(await ask(forwarder, LINK, { as: agent })).toHaveLength(0);
});

test('ending waits for what is under way, and not for connections that rest', async () => {
  // What rests is judged by the clock, and a busy machine may stand still for longer.
  vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const { port, server } = await anInstance();
  const answered = Promise.withResolvers<net.Socket>();
  const slow = net.createServer(socket => {
    socket.on('error', () => undefined);
    socket.once('data', () => answered.resolve(socket));
  });
  slow.listen(0, '127.0.0.1');
  await once(slow, 'listening');
  open.push(() => void slow.close());
  const forwarder = await aForwarder({ one: port, slow: (slow.address() as AddressInfo).port });
  await ask(forwarder, 'one', { enough: ANSWER.length });
  let heard = 0;
  let isOver = false;
  const asked = ask(forwarder, 'slow', { hears: bytes => (heard = bytes) }).finally(() => {
    isOver = true;
  });
  const instance = await answered.promise;
  // Its answer comes in pieces, each sooner than what counts as rest.
  const ending = forwarder[Symbol.asyncDispose]();
  for (let piece = 0; piece < 8; piece++) {
    instance.write('piece');
    while (heard < 1 + 'piece'.length * (piece + 1) && !isOver) await new Promise(resolve => setImmediate(resolve));
    await vi.advanceTimersByTimeAsync(50);
  }
  instance.end();
  await asked;
  await vi.advanceTimersByTimeAsync(1_000);
  await ending;
  vi.useRealTimers();
  expect((await asked).toString('latin1').slice(1)).toBe('piece'.repeat(8));
  await until(
    'the instance hears the end',
    () => new Promise<boolean>(resolve => server.getConnections((_, count) => resolve(count === 0))),
  );
});
