/** Two agents' ends, by real connections: what is sent to a door here comes to an instance there. */
import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { type TestCluster, testCluster } from '@cupola/certificates/members/fixtures';
import type { PeerCall } from '@cupola/certificates/members/forwarding';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { silentLog } from '../fixtures.ts';
import { startForwarder } from '../forward/forwarder.ts';
import { startGate } from './gate.ts';

let cluster: TestCluster;
const open: Array<() => unknown> = [];
beforeAll(async () => {
  cluster = await testCluster();
});
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const CALL: PeerCall = { sourceGuid: 'f', instanceGuid: 'b', port: 8080 };

/** An instance on `there`, reached through its agent from a gate of `here`; `isLetIn` is what the agent there says. */
async function twoCells({
  instance,
  isLetIn = (_call: PeerCall, cellId: string) => cellId === 'here',
  as = 'there',
}: {
  instance(socket: Socket): void;
  isLetIn?(call: PeerCall, cellId: string): boolean;
  as?: string;
}) {
  const server = net.createServer({ allowHalfOpen: true }, socket => {
    socket.on('error', () => undefined);
    instance(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const forwarder = await startForwarder({
    identity: await cluster.source({ role: 'agent', id: as }),
    listen: { host: '127.0.0.1', port: 0 },
    addressOf: () => null,
    peerAddressOf: (call, cellId) => (isLetIn(call, cellId) ? { host: '127.0.0.1', port } : null),
    log: silentLog,
  });
  const gate = await startGate({
    identity: await cluster.source({ role: 'agent', id: 'here' }),
    wayOf: () => ({ call: CALL, cell: { guid: 'there', host: '127.0.0.1', port: forwarder.port } }),
    listen: { host: '127.0.0.1', port: 0 },
    log: silentLog,
  });
  open.push(
    () => void server.close(),
    () => forwarder[Symbol.asyncDispose](),
    () => gate[Symbol.asyncDispose](),
  );
  return { gate, forwarder };
}

/** All that is answered, or the code of the error. */
async function say(port: number, words: string): Promise<string> {
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.end(words);
  return text(socket).catch((error: NodeJS.ErrnoException) => error.code ?? error.message);
}

test('what an instance says comes to another on another machine, and what that says, also after it has heard the end', async () => {
  const called: Array<[PeerCall, string]> = [];
  const { gate } = await twoCells({
    instance: socket => void text(socket).then(heard => socket.end(`you said ${heard.length}`)),
    isLetIn: (call, cellId) => called.push([call, cellId]) > 0,
  });
  expect(await say(gate.port, 'x'.repeat(1_000_000))).toBe('you said 1000000');
  expect(called).toEqual([[CALL, 'here']]);
});

test('an instance that speaks first is heard, and what it says is whole', async () => {
  const { gate } = await twoCells({ instance: socket => void socket.end('y'.repeat(1_000_000)) });
  expect(await say(gate.port, '')).toHaveLength(1_000_000);
});

test('where the other agent lets nobody in, or is another one than was meant, the connection is reset', async () => {
  const reached: Socket[] = [];
  const instance = (socket: Socket): void => void reached.push(socket);
  const refusing = await twoCells({ instance, isLetIn: () => false });
  expect(await say(refusing.gate.port, 'hi')).toBe('ECONNRESET');
  const wrong = await twoCells({ instance, as: 'elsewhere' });
  expect(await say(wrong.gate.port, 'hi')).toBe('ECONNRESET');
  expect(reached).toEqual([]);
});

test('what goes through a cell that is lost ends, and through one whose member was removed', async () => {
  const { gate, forwarder } = await twoCells({ instance: socket => void socket.write('hello') });
  const heard = async (): Promise<{ socket: Socket; ended: Promise<unknown> }> => {
    const socket = net.connect(gate.port, '127.0.0.1');
    socket.on('error', () => undefined);
    await once(socket, 'data');
    return { socket, ended: once(socket, 'close') };
  };
  const first = await heard();
  gate.keepCells(new Set(['there']));
  expect(first.socket.destroyed).toBe(false);
  gate.keepCells(new Set());
  await first.ended;
  const second = await heard();
  forwarder.refuse(['here']);
  await second.ended;
  expect(await say(gate.port, 'hi')).toBe('ECONNRESET');
});
