import { createSocket } from 'node:dgram';
import { Resolver } from 'node:dns/promises';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { silentLog } from '../fixtures.ts';
import { aQuery } from './fixtures.ts';
import { type NameServer, type NameServerOptions, startNameServer } from './name-server.ts';
import { createUpstream, type Upstream } from './upstream.ts';

const nobody: Upstream = createUpstream([]);
const serve = (lookUp: NameServerOptions['lookUp'], upstream = nobody): Promise<NameServer> =>
  startNameServer({ address: '127.0.0.1', port: 0, lookUp, upstream, monotonic: () => 0, log: silentLog });
const at = ({ port }: NameServer) => ({ address: '127.0.0.1', port });

function resolverAt({ port }: NameServer): Resolver {
  const resolver = new Resolver({ tries: 1, timeout: 10_000 });
  resolver.setServers([`127.0.0.1:${port}`]);
  return resolver;
}
const told = (answer: Promise<string[]>): Promise<string[] | string> =>
  answer.then(
    addresses => addresses.sort(),
    (error: { code: string }) => error.code,
  );

/** Sends these one after the other, and gives what came back for the last one, with how many answers came before it. */
async function send(server: NameServer, ...messages: Buffer[]): Promise<{ answers: number }> {
  const socket = createSocket('udp4');
  let answers = 0;
  const last = messages.at(-1)?.readUInt16BE(0);
  const done = new Promise<void>(resolve =>
    socket.on('message', message => {
      answers += 1;
      if (message.readUInt16BE(0) === last) resolve();
    }),
  );
  socket.connect(server.port, '127.0.0.1');
  await once(socket, 'connect');
  for (const message of messages)
    await new Promise<void>((resolve, reject) =>
      socket.send(message, error => (error === null ? resolve() : reject(error))),
    );
  await done;
  socket.close();
  return { answers };
}

test('startNameServer(): a name of ours has the addresses of its instances, and no others', async () => {
  await using server = await serve(() => ['10.0.0.1', '10.0.0.2']);
  expect(await told(resolverAt(server).resolve4('api.apps.internal'))).toEqual(['10.0.0.1', '10.0.0.2']);
  expect(await told(resolverAt(server).resolve6('api.apps.internal'))).toBe('ENODATA');
});

test('startNameServer(): what nobody has is not found, and a name without instances has none', async () => {
  await using server = await serve(name => (name === 'none.apps.internal' ? [] : 'unknown'));
  expect(await told(resolverAt(server).resolve4('other.apps.internal'))).toBe('ENOTFOUND');
  expect(await told(resolverAt(server).resolve4('none.apps.internal'))).toBe('ENODATA');
});

test('startNameServer(): other names are the host’s to answer: what its servers say comes back as it is', async () => {
  await using host = await serve(() => ['192.0.2.7']);
  await using server = await serve(() => 'elsewhere', createUpstream([at(host)]));
  expect(await told(resolverAt(server).resolve4('example.com'))).toEqual(['192.0.2.7']);
  await using none = await serve(() => 'elsewhere');
  expect(await told(resolverAt(none).resolve4('example.com'))).toBe('ESERVFAIL');
});

test('startNameServer(): as many addresses as fit a datagram, others each time', async () => {
  const all = Array.from({ length: 250 }, (_, index) => `10.0.0.${index}`);
  await using server = await serve(() => all);
  const [first, second] = [await ask(server), await ask(server)];
  expect(first.length).toBeGreaterThan(20);
  expect(new Set(first).size).toBe(first.length);
  expect(second).not.toEqual(first);
});
const ask = (server: NameServer): Promise<string[]> => resolverAt(server).resolve4('api.apps.internal');

test('startNameServer() is quiet about what is no query, and goes on', async () => {
  await using server = await serve(() => ['10.0.0.1']);
  const answer = Buffer.from(aQuery('a.b').map((byte, at) => (at === 2 ? 0x84 : byte)));
  const noise = [Buffer.alloc(0), Buffer.from('GET / HTTP/1.1\r\n\r\n'), answer, Buffer.alloc(1_400, 0xff)];
  expect(await send(server, ...noise, aQuery('a.b'))).toEqual({ answers: 1 });
});
