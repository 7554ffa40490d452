import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { issueMember } from '@cupola/certificates/members/authority';
import {
  API_LINK_NAME,
  checkMember,
  contextOf,
  PUBLIC_API_NAME,
  WrongMemberError,
} from '@cupola/certificates/members/dial';
import { testCluster } from '@cupola/certificates/members/fixtures';
import { CONNECTED } from '@cupola/certificates/members/forwarding';
import {
  type Identity,
  identityFrom,
  identityOf,
  membersOf,
  writeIdentity,
} from '@cupola/certificates/members/identity';
import {
  JoinRefusedError,
  joinCluster,
  keepIdentity,
  readToken,
  writeToken,
} from '@cupola/certificates/members/joining';
import { aBuild, anApp, aPackage, aPlacement } from '@cupola/store/fixtures';
import { expect, test } from 'vitest';
import { createBuildLogs } from '../builds/build-log.ts';
import type { ApiDeps } from '../deps.ts';
import { createFiguresRecorder } from '../figures/record.ts';
import { type Json, startTestApi } from '../fixtures.ts';
import { aRegistration, callInternal } from '../internal/fixtures.ts';
import { createLogRights } from '../internal/log-rights.ts';
import { type InternalListen, startInternal } from '../internal/server.ts';
import { openAuthority } from './authority.ts';

const LIFE_MS = 3_600_000;
const ENVELOPE = {
  timestampNs: String(BigInt(Date.now()) * 1_000_000n),
  sourceType: 'APP/PROC/WEB',
  instanceId: '0',
  type: 'OUT',
};

/** An API that members reach. Its clock is the machine's: certificates are judged by it. */
async function open(given: Partial<InternalListen> = {}) {
  const stack = new AsyncDisposableStack();
  const test = stack.use(await startTestApi());
  const folder = mkdtempSync(join(tmpdir(), 'cupola-members-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const { store, logs } = test.deps;
  const deps = {
    ...(test.deps as ApiDeps),
    now: Date.now,
    buildLogs: createBuildLogs({ store, logs, now: Date.now }),
    figures: stack.use(createFiguresRecorder({ ...(test.deps as ApiDeps), now: Date.now })),
    logRights: createLogRights({ read: store.read, monotonic: test.clock.now }),
  };
  const socketPath = join(folder, 'internal.sock');
  const where = { socketPath, members: { host: '127.0.0.1', port: 0 }, lookMs: 20, ...given };
  const { members } = stack.use(
    await startInternal(deps, where, (request, response) => {
      response.end(JSON.stringify({ asked: request.url }));
    }),
  );
  if (members === null) throw new Error('it does not listen to members');
  const token = async (...roles: string[]) => {
    const { body } = await callInternal(socketPath, 'POST', '/internal/cluster/tokens', { roles, lifeMs: LIFE_MS });
    return readToken(writeToken({ secret: body.token, authority: body.authority }));
  };
  return {
    address: members,
    authority: () => openAuthority(deps),
    store: deps.store,
    /** Of an app's log. */
    lines: async (appGuid: string) =>
      (await deps.logs.read({ appGuid, limit: 100, descending: false })).map(({ line }) => line),
    home: test.home,
    folder,
    token,
    /** Time of the store. */
    pass: test.clock.pass,
    local: (method: string, path: string, body?: unknown) => callInternal(socketPath, method, path, body),
    join: async (id: string, ...roles: string[]) =>
      joinCluster(members, { token: await token(...roles), id, hostName: 'a' }),
    as: (identity: Identity | null, method: string, path: string, body?: unknown) =>
      ask({ port: members.port, identity }, method, path, body),
    /** As a router passes on what somebody asks of the public API. */
    passOn: (identity: Identity | null, method: string, path: string, body?: unknown) =>
      ask({ port: members.port, identity, servername: PUBLIC_API_NAME }, method, path, body),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** One call over TLS, as whom the identity says; null: as a stranger. */
async function ask(
  { port, identity, servername = '' }: { port: number; identity: Identity | null; servername?: string },
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; body: Json }> {
  const request = https.request({
    host: '127.0.0.1',
    port,
    method,
    path,
    agent: false,
    servername,
    headers: { 'content-type': 'application/json' },
    ...(identity === null ? { rejectUnauthorized: false } : { secureContext: contextOf(identity) }),
    checkServerIdentity: checkMember(members => members.some(({ role }) => role === 'api')),
  });
  request.end(body === undefined ? undefined : JSON.stringify(body));
  const [response] = (await once(request, 'response')) as [import('node:http').IncomingMessage];
  let text = '';
  for await (const chunk of response) text += chunk;
  return { status: response.statusCode ?? 0, body: text === '' ? undefined : JSON.parse(text) };
}

test('a machine joins by a token, which serves once', async () => {
  await using cluster = await open();
  const token = await cluster.token('agent', 'stager');
  const identity = await joinCluster(cluster.address, { token, id: 'cell-1', hostName: 'a' });
  expect(membersOf(identity)).toEqual([
    { role: 'agent', id: 'cell-1' },
    { role: 'stager', id: 'cell-1' },
  ]);
  // Its answer may have been lost.
  await joinCluster(cluster.address, { token, id: 'cell-1', hostName: 'a' });
  await expect(joinCluster(cluster.address, { token, id: 'cell-2', hostName: 'b' })).rejects.toThrow(JoinRefusedError);
  const { body } = await cluster.local('GET', '/internal/cluster/members');
  expect(body.members).toMatchObject([{ id: 'cell-1', hostName: 'a', roles: ['agent', 'stager'], removedAtMs: null }]);
});

test('a token lets nobody take the place of a member; one that was made for it does', async () => {
  await using cluster = await open();
  await cluster.join('cell-1', 'agent');
  await expect(cluster.join('cell-1', 'agent')).rejects.toThrow(/There is a member cell-1 already.*--id cell-1/);
  const { body } = await cluster.local('POST', '/internal/cluster/tokens', {
    roles: ['agent'],
    lifeMs: LIFE_MS,
    id: 'cell-1',
  });
  const token = readToken(writeToken({ secret: body.token, authority: body.authority }));
  await expect(joinCluster(cluster.address, { token, id: 'cell-2', hostName: 'b' })).rejects.toThrow(JoinRefusedError);
  expect(membersOf(await joinCluster(cluster.address, { token, id: 'cell-1', hostName: 'a' }))).toEqual([
    { role: 'agent', id: 'cell-1' },
  ]);
});

test('a token ends with its time, and a made-up one is none', async () => {
  await using cluster = await open();
  const token = await cluster.token('agent');
  const made = { ...token, secret: 'x'.repeat(43) };
  await expect(joinCluster(cluster.address, { token: made, id: 'c', hostName: '' })).rejects.toThrow(/Make a new one/);
  cluster.pass(LIFE_MS);
  await expect(joinCluster(cluster.address, { token, id: 'c', hostName: '' })).rejects.toThrow(/too old/);
});

test('the secret of a token is said to nobody but its own cluster', async () => {
  await using cluster = await open();
  const token = { ...(await cluster.token('agent')), authority: 'ab'.repeat(32) };
  await expect(joinCluster(cluster.address, { token, id: 'c', hostName: '' })).rejects.toThrow(WrongMemberError);
});

test('an agent speaks for its own cell alone, and may not do what others may', async () => {
  await using cluster = await open();
  const agent = await cluster.join('cell-1', 'agent');
  const registration = (cellId: string) => cluster.as(agent, 'POST', '/internal/cells', aRegistration({ cellId }));
  expect((await registration('cell-1')).status).toBe(200);
  expect((await registration('cell-2')).status).toBe(403);
  const session = 'session-1';
  const beat = { session, counter: 1, usage: [] };
  expect((await cluster.as(agent, 'POST', '/internal/cells/cell-1/heartbeat', beat)).status).toBe(200);
  for (const [method, path, body] of [
    ['POST', '/internal/cells/cell-2/heartbeat', beat],
    ['POST', '/internal/cells/cell-2/reports', { session, sequence: 1, copies: [] }],
    ['GET', '/internal/cells/cell-2/watch', undefined],
    ['GET', '/internal/routes/watch', undefined],
    ['GET', '/internal/builds/next?stager=cell-1&wait_ms=0', undefined],
    ['POST', '/internal/cluster/tokens', { roles: ['agent'], lifeMs: 1 }],
    ['POST', '/internal/users/password', { username: 'admin', password: 'x' }],
    ['POST', '/internal/cells/cell-1/drain', { drain: true }],
  ] as const)
    expect((await cluster.as(agent, method, path, body)).status, path).toBe(403);
});

test('who shows no certificate of the cluster may only join', async () => {
  await using cluster = await open();
  const stranger = await (await testCluster()).identity([{ role: 'agent', id: 'cell-1' }]);
  await expect(cluster.as(stranger, 'GET', '/internal/routes/watch')).rejects.toThrow(/certificate|self-signed/);
  for (const path of ['/internal/cells', '/internal/renew', '/internal/join'])
    expect((await cluster.as(null, 'POST', path, aRegistration())).status, path).not.toBe(200);
  const { request } = await (await import('@cupola/certificates/members/authority')).makeRequest();
  const body = { id: 'c', hostName: '', request, roles: ['agent'] };
  expect((await cluster.as(null, 'POST', '/internal/join', body)).status).toBe(403);
});

test('on its own socket a machine joins without a token', async () => {
  await using cluster = await open();
  const { makeRequest } = await import('@cupola/certificates/members/authority');
  const { request } = await makeRequest();
  const { status, body } = await cluster.local('POST', '/internal/join', {
    id: 'here',
    hostName: 'a',
    request,
    roles: ['agent', 'router'],
  });
  expect([status, body.chain]).toEqual([200, expect.stringContaining('BEGIN CERTIFICATE')]);
});

test('a member that was removed is refused, and does not come back', async () => {
  await using cluster = await open();
  const agent = await cluster.join('cell-1', 'agent');
  expect((await cluster.as(agent, 'POST', '/internal/cells', aRegistration())).status).toBe(200);
  expect((await cluster.local('POST', '/internal/cluster/members/cell-1/remove')).status).toBe(204);
  expect((await cluster.local('POST', '/internal/cluster/members/nobody/remove')).status).toBe(404);
  const { status, body } = await cluster.as(agent, 'POST', '/internal/cells', aRegistration());
  expect([status, body.errors[0].detail]).toEqual([403, expect.stringContaining('removed from the cluster')]);
  expect((await cluster.as(agent, 'POST', '/internal/renew', { request: 'x' })).status).toBe(403);
  await expect(cluster.join('cell-1', 'agent')).rejects.toThrow(/was removed/);
  // Cells are told, and pass nothing on for it.
  const other = await cluster.join('cell-2', 'agent');
  await cluster.as(other, 'POST', '/internal/cells', aRegistration({ cellId: 'cell-2' }));
  const beat = { session: 'session-1', counter: 1, usage: [] };
  expect((await cluster.as(other, 'POST', '/internal/cells/cell-2/heartbeat', beat)).body).toEqual({
    removed: ['cell-1'],
  });
});

test('a watch that a removed member has open ends', async () => {
  await using cluster = await open();
  const router = await cluster.join('router-1', 'router');
  const request = https.get({
    host: '127.0.0.1',
    port: cluster.address.port,
    path: '/internal/routes/watch',
    agent: false,
    ...{ secureContext: contextOf(router) },
    checkServerIdentity: () => undefined,
  });
  const ended = once(request, 'close');
  request.on('error', () => undefined);
  const [response] = (await once(request, 'response')) as [import('node:http').IncomingMessage];
  response.on('error', () => undefined);
  response.resume();
  await cluster.local('POST', '/internal/cluster/members/router-1/remove');
  await ended;
});

test('an identity that is due is renewed, under the same names', async () => {
  await using cluster = await open();
  const file = join(cluster.folder, 'identity.pem');
  const first = await cluster.join('cell-1', 'agent', 'stager');
  writeIdentity(file, first);
  const ended = new AbortController();
  const source = identityFrom(file);
  const asked: string[] = [];
  const keeping = keepIdentity(
    {
      file,
      post: async (path, body) => {
        asked.push(path);
        const answer = await cluster.as(source.current(), 'POST', path, body);
        ended.abort();
        return answer.body;
      },
      now: () => Date.now() + 11 * 86_400_000,
      warn: error => {
        throw error;
      },
    },
    ended.signal,
  );
  await keeping;
  expect(asked).toEqual(['/internal/renew']);
  expect(source.current().cert).not.toBe(first.cert);
  expect(membersOf(source.current())).toEqual(membersOf(first));
  expect((await cluster.as(source.current(), 'POST', '/internal/cells', aRegistration())).status).toBe(200);
});

test('a build is its stager’s alone', async () => {
  await using cluster = await open();
  const one = await cluster.join('one', 'stager');
  expect((await cluster.as(one, 'POST', '/internal/builds/b/claim', { stager: 'two' })).status).toBe(403);
  expect((await cluster.as(one, 'POST', '/internal/builds/b/claim', { stager: 'one' })).status).toBe(409);
  expect((await cluster.as(one, 'GET', '/internal/builds/next?stager=two&wait_ms=0')).status).toBe(403);
});

test('a build is ended and told of by the stager that holds it, and by no other', async () => {
  await using cluster = await open();
  const { store, home } = cluster;
  const app = await anApp(store, { space_guid: home.spaceGuid });
  const pack = await aPackage(store, { app_guid: app.guid, state: 'READY', digest: 'a'.repeat(64), size_bytes: 7 });
  const { guid } = await aBuild(store, {
    app_guid: app.guid,
    package_guid: pack.guid,
    stager: 'one',
    last_stager: 'one',
    fence: 1,
  });
  const [one, two] = [await cluster.join('one', 'stager'), await cluster.join('two', 'stager')];
  const logs = { envelopes: [] };
  expect((await cluster.as(two, 'POST', `/internal/builds/${guid}/logs`, logs)).status).toBe(403);
  expect((await cluster.as(one, 'POST', `/internal/builds/${guid}/logs`, logs)).status).toBe(204);
  const end = { outcome: 'failed', fence: 1, title: 'StagingError', error: 'x' };
  expect((await cluster.as(two, 'POST', `/internal/builds/${guid}/finish`, end)).status).toBe(403);
  expect((await cluster.as(one, 'POST', `/internal/builds/${guid}/finish`, end)).status).toBe(204);
  // Its last lines come late.
  expect((await cluster.as(two, 'POST', `/internal/builds/${guid}/logs`, logs)).status).toBe(403);
  expect((await cluster.as(one, 'POST', `/internal/builds/${guid}/logs`, logs)).status).toBe(204);
});

test('a cell writes lines of what is on it, for a while of what was; a router of every app', async () => {
  await using cluster = await open();
  const app = await anApp(cluster.store, { name: 'shop', state: 'STARTED' });
  const placed = await aPlacement(cluster.store, { cell_id: 'cell-1', app_guid: app.guid });
  const [cell, other, router] = [
    await cluster.join('cell-1', 'agent'),
    await cluster.join('cell-2', 'agent'),
    await cluster.join('router-1', 'router'),
  ];
  const say = (as: Identity, line: string) =>
    cluster.as(as, 'POST', '/internal/logs', { envelopes: [{ ...ENVELOPE, appGuid: app.guid, line }] });
  expect((await say(cell, 'mine')).status).toBe(204);
  expect((await say(other, 'forged')).status).toBe(204);
  expect((await say(router, 'asked')).status).toBe(204);
  await cluster.store.note(({ db }) => db.deleteFrom('placements').where('guid', '=', placed.guid).execute());
  cluster.pass(60_000);
  await say(cell, 'last');
  expect(await cluster.lines(app.guid)).toEqual(['mine', 'asked', 'last']);
  cluster.pass(3_600_000);
  await say(cell, 'later');
  expect(await cluster.lines(app.guid)).toEqual(['mine', 'asked', 'last']);
});

test('a machine whose certificate has run out is told to join again', async () => {
  await using cluster = await open();
  const { key, cert, ca } = await cluster.join('cell-1', 'agent');
  const authority = await cluster.authority();
  const old = await issueMember({ authority, members: membersOf({ cert }), nowMs: Date.now() - 40 * 86_400_000 });
  const { status, body } = await cluster.as(identityOf(old.key, old.cert), 'POST', '/internal/cells', aRegistration());
  expect([status, body.errors[0].detail]).toEqual([403, expect.stringContaining('joins again')]);
  expect((await cluster.as({ key, cert, ca }, 'POST', '/internal/cells', aRegistration())).status).toBe(200);
});

test('a router passes requests to the public API on; nobody else does', async () => {
  await using cluster = await open();
  const router = await cluster.join('router-1', 'router');
  expect(await cluster.passOn(router, 'GET', '/v3/info')).toEqual({ status: 200, body: { asked: '/v3/info' } });
  for (const other of [await cluster.join('cell-1', 'agent'), null])
    expect((await cluster.passOn(other, 'GET', '/v3/info')).status).toBe(403);
  expect((await cluster.as(router, 'GET', '/v3/info')).status).toBe(404);
  expect((await cluster.local('GET', '/v3/info')).status).toBe(404);
});

test('what a router passes on is no internal call, whatever its path', async () => {
  await using cluster = await open();
  const router = await cluster.join('router-1', 'router');
  for (const [method, path] of [
    ['GET', '/internal/routes/watch'],
    ['POST', '/internal/renew'],
    ['POST', '/internal/logs'],
    ['POST', '/internal/join'],
  ] as const)
    expect(await cluster.passOn(router, method, path)).toEqual({ status: 200, body: { asked: path } });
});

test('a link of a member sends back what it hears, and ends with the API', async () => {
  await using cluster = await open();
  const link = tls.connect({
    ...cluster.address,
    secureContext: contextOf(await cluster.join('router-1', 'router')),
    servername: API_LINK_NAME,
    checkServerIdentity: () => undefined,
  });
  const [first] = await once(link, 'data');
  link.write('beat');
  const [second] = await once(link, 'data');
  expect([...first, String(second)]).toEqual([CONNECTED, 'beat']);
  const ended = once(link, 'close');
  await cluster[Symbol.asyncDispose]();
  await ended;
});

test('who shows no certificate does not stay; a member does', async () => {
  await using cluster = await open({ strangerMs: 6_000 });
  const member = await cluster.join('cell-1', 'agent');
  const to = { host: '127.0.0.1', port: cluster.address.port, checkServerIdentity: () => undefined };
  const known = tls.connect({ ...to, secureContext: contextOf(member) });
  const stranger = tls.connect({ ...to, rejectUnauthorized: false });
  const silent = net.connect(to);
  for (const socket of [known, stranger, silent]) socket.on('error', () => undefined).resume();
  await Promise.all([once(stranger, 'close'), once(silent, 'close')]);
  expect(known.destroyed).toBe(false);
  known.destroy();
});
