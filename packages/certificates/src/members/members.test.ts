import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer, type Server, type TLSSocket } from 'node:tls';
import { afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { BadRequestError, makeRequest, signRequest } from './authority.ts';
import { apiConnector, callerOf, contextOf, parseAddress, WrongMemberError, writeAddress } from './dial.ts';
import { type TestCluster, testCluster } from './fixtures.ts';
import { type Identity, identityFrom, identityOf, isDue, membersOf, writeIdentity } from './identity.ts';
import { type Member, membersIn } from './names.ts';

const DAY_MS = 86_400_000;
const nowMs = Date.now();
const API: Member = { role: 'api', id: 'one' };
const AGENT: Member = { role: 'agent', id: 'cell-1' };
let cluster: TestCluster;
let authority: TestCluster['authority'];
let identity: TestCluster['identity'];
let folder: string;
let open: Array<() => void>;

beforeAll(async () => {
  cluster = await testCluster();
  ({ authority, identity } = cluster);
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cupola-members-'));
  open = [];
});
afterEach(() => {
  vi.restoreAllMocks();
  for (const close of open) close();
  rmSync(folder, { recursive: true, force: true });
});

/** An API that tells who calls. */
async function listen(own: Identity): Promise<{ port: number; callers: Array<Member[] | null>; server: Server }> {
  const callers: Array<Member[] | null> = [];
  const server = createServer(
    { ...own, cert: `${own.cert}${own.ca}`, requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.3' },
    socket => {
      callers.push(callerOf(socket));
      socket.on('error', () => undefined);
      socket.end('heard');
    },
  );
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push(() => server.close());
  return { port: (server.address() as AddressInfo).port, callers, server };
}

function dial(ports: readonly number[], own: Identity): Promise<TLSSocket> {
  const connector = apiConnector({
    addresses: ports.map(port => ({ host: '127.0.0.1', port })),
    identity: { current: () => own },
  });
  return new Promise((resolve, reject) =>
    connector({}, (error, socket) => {
      if (socket === null) return reject(error);
      open.push(() => socket.destroy());
      resolve(socket);
    }),
  );
}

test('a member is known by the roles in its certificate', async () => {
  const { port, callers } = await listen(await identity([API]));
  const socket = await dial([port], await identity([AGENT, { role: 'stager', id: 'cell-1' }]));
  await once(socket, 'data');
  expect(callers).toEqual([[AGENT, { role: 'stager', id: 'cell-1' }]]);
});

test('one of another authority is nobody, and so is one whose certificate has ended', async () => {
  const { port, callers } = await listen(await identity([API]));
  const stranger = await (await testCluster()).identity([AGENT]);
  const ended = await identity([AGENT], nowMs - 40 * DAY_MS);
  // Both trust this API, so that only its own judgement is seen.
  for (const own of [{ ...stranger, ca: authority.cert }, ended]) {
    const socket = await dial([port], own);
    await once(socket, 'data');
  }
  expect(callers).toEqual([null, null]);
});

test('who is reached must be an API of the same authority', async () => {
  const own = await identity([AGENT]);
  const agent = await listen(await identity([{ role: 'agent', id: 'other' }]));
  await expect(dial([agent.port], own)).rejects.toThrow(WrongMemberError);
  const stranger = await listen(await (await testCluster()).identity([API]));
  await expect(dial([stranger.port], own)).rejects.toThrow(/self-signed|issuer|verify/);
});

test('the next address is dialled where one does not answer', async () => {
  const gone = await listen(await identity([API]));
  gone.server.close();
  await once(gone.server, 'close');
  const { port, callers } = await listen(await identity([API]));
  const socket = await dial([gone.port, port], await identity([AGENT]));
  await once(socket, 'data');
  expect(callers).toEqual([[AGENT]]);
});

test('the next address is dialled beside one that takes the call and says nothing', async () => {
  vi.spyOn(Math, 'random').mockReturnValue(0); // From the first one on.
  let isWaitedFor = false;
  const frozen = createTcpServer(socket => {
    isWaitedFor = true;
    socket.on('close', () => {
      isWaitedFor = false;
    });
    socket.resume();
  }).listen(0, '127.0.0.1');
  open.push(() => frozen.close());
  await once(frozen, 'listening');
  const { port, server } = await listen(await identity([API]));
  const wasWaitedFor = once(server, 'secureConnection').then(() => isWaitedFor);
  const socket = await dial([(frozen.address() as AddressInfo).port, port], await identity([AGENT]));
  expect(await wasWaitedFor).toBe(true);
  expect(socket.remotePort).toBe(port);
  await expect.poll(() => isWaitedFor).toBe(false);
});

test('a request is signed for its own key', async () => {
  const { key, request } = await makeRequest();
  const chain = await signRequest(request, { authority, members: [AGENT], nowMs });
  const own = identityOf(key, chain);
  expect(membersOf(own)).toEqual([AGENT]);
  expect(new X509Certificate(own.cert).verify(new X509Certificate(authority.cert).publicKey)).toBe(true);
  expect(() => contextOf(own)).not.toThrow();
});

test('what is no request is refused, and so is one that was changed', async () => {
  const signing = { authority, members: [AGENT], nowMs };
  await expect(signRequest('hello', signing)).rejects.toThrow(BadRequestError);
  const { request } = await makeRequest();
  const lines = request.split('\n');
  const body = Buffer.from(lines.slice(1, -2).join(''), 'base64');
  body[body.length - 5] = (body[body.length - 5] ?? 0) ^ 1;
  const changed = `${lines[0]}\n${body.toString('base64')}\n${lines.at(-2)}\n`;
  await expect(signRequest(changed, signing)).rejects.toThrow(BadRequestError);
});

test('an identity file is for its owner alone, and seen again when it is replaced', async () => {
  const file = join(folder, 'identity.pem');
  const [first, second] = [await identity([AGENT]), await identity([AGENT])];
  writeIdentity(file, first);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const source = identityFrom(file);
  expect(source.current()).toEqual(first);
  expect(source.current()).toBe(source.current());
  writeIdentity(file, second);
  expect(source.current()).toEqual(second);
});

test('a certificate is due for renewal after a third of its life', async () => {
  const own = await identity([AGENT]);
  expect(isDue(own, nowMs + 9 * DAY_MS)).toBe(false);
  expect(isDue(own, nowMs + 11 * DAY_MS)).toBe(true);
});

test('membersIn() takes only whole names of ours', () => {
  expect(
    membersIn(
      'DNS:api, URI:spiffe://cupola/agent/a.b, URI:spiffe://other/agent/x, URI:spiffe://cupola/root/x, URI:spiffe://cupola/agent/x/y, URI:spiffe://cupola/router/',
    ),
  ).toEqual([{ role: 'agent', id: 'a.b' }]);
  expect(membersIn(undefined)).toEqual([]);
});

test('parseAddress() takes host and port', () => {
  expect(parseAddress('10.0.0.5:7443')).toEqual({ host: '10.0.0.5', port: 7443 });
  expect(parseAddress('[::1]:80')).toEqual({ host: '::1', port: 80 });
  for (const text of ['10.0.0.5:7443', '[::1]:80', 'api.example.com:443'])
    expect(writeAddress(parseAddress(text))).toBe(text);
  for (const wrong of ['x', 'x:', ':1', 'x:0', 'x:70000', 'http://x:1', 'a b:1'])
    expect(() => parseAddress(wrong), wrong).toThrow(/is no address/);
});

test('a server that shows a connection of a resumed session knows its caller', async () => {
  const { port, callers } = await listen(await identity([API]));
  const own = await identity([AGENT]);
  const once1 = (session?: Buffer): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      let ticket: Buffer | undefined;
      const socket = connect({
        host: '127.0.0.1',
        port,
        secureContext: contextOf(own),
        checkServerIdentity: () => undefined,
        ...(session === undefined ? {} : { session }),
      });
      socket.on('session', found => {
        ticket = found;
      });
      socket.on('error', reject);
      socket.on('close', () => resolve(ticket ?? Buffer.alloc(0)));
      socket.resume();
    });
  const session = await once1();
  expect(session.length).toBeGreaterThan(0);
  await once1(session);
  expect(callers).toEqual([[AGENT], [AGENT]]);
});
