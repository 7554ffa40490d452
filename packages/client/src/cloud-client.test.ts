import { readApp, readBuild } from '@cupola/contract/v3/client-reads';
import { describe, expect, test } from 'vitest';
import type { Call } from './cloud-client.ts';
import { CfApiError, JobFailedError, LoginError, UnreachableError, WaitedTooLongError } from './errors.ts';
import { clientOf, inMemory, jwt, type Reply, serverThat } from './fixtures.ts';

const anApp = (guid: string): unknown => ({ guid, name: guid, state: 'STARTED' });

describe('list()', () => {
  test('follows `next` as it is, page after page, and asks for no more than is read', async () => {
    await using server = await serverThat((_asked, before, origin) => ({
      body: {
        pagination: {
          next: before < 2 ? { href: `${origin}/v3/apps?after=opaque%2B${before}&page=${before + 2}` } : null,
        },
        resources: [anApp(`a${before}`), anApp(`b${before}`)],
      },
    }));
    const client = clientOf(server.origin);
    expect((await client.all(readApp, '/v3/apps', { names: 'x y' })).map(({ guid }) => guid)).toEqual([
      'a0',
      'b0',
      'a1',
      'b1',
      'a2',
      'b2',
    ]);
    expect(server.asked.map(({ url }) => url)).toEqual([
      '/v3/apps?per_page=5000&names=x+y',
      '/v3/apps?after=opaque%2B0&page=2',
      '/v3/apps?after=opaque%2B1&page=3',
    ]);
    for await (const app of client.list(readApp, '/v3/apps')) {
      expect(app.guid).toBe('a3');
      break;
    }
    expect(server.asked).toHaveLength(4);
  });
  test('first() is null for an empty list', async () => {
    await using server = await serverThat(() => ({ body: { pagination: {}, resources: [] } }));
    expect(await clientOf(server.origin).first(readApp, '/v3/apps')).toBeNull();
  });
});

describe('errors', () => {
  test("of the API are typed, with code, title, every detail and the request's id", async () => {
    await using server = await serverThat(() => ({
      status: 422,
      headers: { 'x-vcap-request-id': 'id-1' },
      body: {
        errors: [
          { code: 10008, title: 'CF-UnprocessableEntity', detail: 'first' },
          { code: 10008, title: 'CF-UnprocessableEntity', detail: 'second' },
        ],
      },
    }));
    const failure = clientOf(server.origin).act({ method: 'POST', path: '/v3/apps' });
    await expect(failure).rejects.toBeInstanceOf(CfApiError);
    await expect(failure).rejects.toMatchObject({
      status: 422,
      code: 10008,
      title: 'CF-UnprocessableEntity',
      message: 'first\nsecond',
      requestId: 'id-1',
      request: 'POST /v3/apps',
    });
  });
  test('of something else than the API name the request', async () => {
    await using server = await serverThat(asked =>
      asked.method === 'POST' ? { status: 502, body: 'proxy' } : { body: { hello: 1 } },
    );
    const client = clientOf(server.origin);
    await expect(client.act({ method: 'POST', path: '/v3/apps' })).rejects.toThrow(
      'POST /v3/apps was answered with 502: "proxy"',
    );
    await expect(client.read(readApp, { path: '/v3/apps/x' })).rejects.toThrow(/not the Cloud Foundry API's/);
  });
  test('nobody listens: UnreachableError; a mutation is never sent twice', async () => {
    await expect(clientOf('http://127.0.0.1:1').act({ method: 'POST', path: '/v3/apps' })).rejects.toBeInstanceOf(
      UnreachableError,
    );
    await using server = await serverThat(() => ({ cut: true }));
    await expect(clientOf(server.origin).act({ method: 'POST', path: '/v3/apps' })).rejects.toBeInstanceOf(
      UnreachableError,
    );
    expect(server.asked).toHaveLength(1);
  });
  test('a read is tried again after a cut connection, and after 503 with Retry-After', async () => {
    const replies: Reply[] = [{ cut: true }, { status: 503, headers: { 'retry-after': '0' } }, { body: anApp('a') }];
    await using server = await serverThat((_asked, before) => replies[before] ?? {});
    expect((await clientOf(server.origin).read(readApp, { path: '/v3/apps/a' })).guid).toBe('a');
  });
  test('503 with Retry-After is waited for where a call may be repeated, with its body; else, or for too long, it is an answer', async () => {
    const later = (seconds: string): Reply => ({ status: 503, headers: { 'retry-after': seconds }, body: {} });
    const asks = async (replies: Reply[], call: Partial<Call>): Promise<{ times: number; status: number }> => {
      await using server = await serverThat((_asked, before) => replies[before] ?? {});
      const { status } = await clientOf(server.origin).exchange({ path: '/x', json: { a: 1 }, ...call });
      expect(new Set(server.asked.map(({ body }) => body))).toEqual(new Set(['{"a":1}']));
      return { times: server.asked.length, status };
    };
    const replies = [later('0'), later('0'), {}];
    expect(await asks(replies, { method: 'POST', isRepeatable: true })).toEqual({ times: 3, status: 200 });
    expect(await asks(replies, { method: 'PATCH' })).toEqual({ times: 3, status: 200 });
    expect(await asks(replies, { method: 'POST' })).toEqual({ times: 1, status: 503 });
    expect(await asks([later('61')], { method: 'PUT' })).toEqual({ times: 1, status: 503 });
    expect(await asks([{ status: 503, body: {} }], { method: 'PUT' })).toEqual({ times: 1, status: 503 });
    // Waiting empties no disk.
    const errors = [{ code: 990_001, title: 'CF-InsufficientStorage', detail: 'The disk is nearly full.' }];
    expect(await asks([{ ...later('0'), body: { errors } }, {}], { method: 'PUT' })).toEqual({ times: 1, status: 503 });
  });
});

describe('jobs', () => {
  test('are awaited; a 202 without Location is over', async () => {
    await using server = await serverThat((asked, before, origin) =>
      asked.method === 'DELETE'
        ? { status: 202, headers: { location: `${origin}/v3/jobs/j` } }
        : { body: { guid: 'j', state: before < 2 ? 'PROCESSING' : 'COMPLETE' } },
    );
    await clientOf(server.origin).act({ method: 'DELETE', path: '/v3/apps/a' });
    expect(server.asked.map(({ headers }) => headers.prefer)).toEqual([undefined, 'wait=20', 'wait=20']);
    await using other = await serverThat(() => ({ status: 202 }));
    await clientOf(other.origin).act({ method: 'DELETE', path: '/v3/apps/a' });
    expect(other.asked).toHaveLength(1);
  });
  test('that fail throw every reason', async () => {
    await using server = await serverThat((asked, _before, origin) =>
      asked.method === 'POST'
        ? { status: 202, headers: { location: `${origin}/v3/jobs/j` } }
        : { body: { guid: 'j', state: 'FAILED', errors: [{ detail: 'one' }, { detail: 'two' }] } },
    );
    await expect(clientOf(server.origin).act({ method: 'POST', path: '/x' })).rejects.toThrow(
      new JobFailedError('', ['one', 'two']),
    );
  });
});

describe('poll()', () => {
  const poll = {
    path: '/v3/builds/b',
    schema: readBuild,
    what: 'staging',
    isDone: ({ state }: { state: string }) => state !== 'STAGING',
  };
  test('tells each answer on the way, and stops at its limit', async () => {
    await using server = await serverThat((_asked, before) => ({
      body: { guid: 'b', state: before < 2 ? 'STAGING' : 'STAGED' },
    }));
    const seen: string[] = [];
    const done = await clientOf(server.origin).poll({
      ...poll,
      limitMs: 10_000,
      progress: ({ state }) => seen.push(state),
    });
    expect([done.state, seen]).toEqual(['STAGED', ['STAGING', 'STAGING']]);
    await using never = await serverThat(() => ({ body: { guid: 'b', state: 'STAGING' } }));
    await expect(clientOf(never.origin).poll({ ...poll, limitMs: 150 })).rejects.toBeInstanceOf(WaitedTooLongError);
  });
  test('ends with its signal', async () => {
    await using server = await serverThat(() => ({ afterMs: 5_000 }));
    const stop = new AbortController();
    const polling = clientOf(server.origin).poll({ ...poll, limitMs: 10_000, signal: stop.signal });
    setTimeout(() => stop.abort(), 20);
    await expect(polling).rejects.toThrow(/abort/i);
  });
});

describe('tokens', () => {
  const answers =
    (serial: { n: number }) =>
    (asked: { url: string; body: string }): Reply => {
      if (asked.url !== '/oauth/token') return { body: { pagination: {}, resources: [] } };
      const expected = `refresh_token=r${serial.n}`;
      if (!asked.body.includes(expected))
        return { status: 401, body: { error: 'invalid_token', error_description: 'used' } };
      serial.n++;
      return { body: { access_token: jwt(600), refresh_token: `r${serial.n}` } };
    };
  test('are refreshed a minute before they end, once for many requests, and the rotated one is kept', async () => {
    await using server = await serverThat(answers({ n: 0 }));
    const store = inMemory({ access: jwt(59), refresh: 'r0' });
    const client = clientOf(server.origin, store);
    await Promise.all(Array.from({ length: 5 }, () => client.all(readApp, '/v3/apps')));
    expect(server.asked.filter(({ url }) => url === '/oauth/token')).toHaveLength(1);
    expect(store.tokens?.refresh).toBe('r1');
  });
  test('that look good but are refused are refreshed once, then the refusal counts', async () => {
    const serial = { n: 0 };
    await using server = await serverThat(asked =>
      asked.url === '/oauth/token'
        ? answers(serial)(asked)
        : {
            status: 401,
            body: { errors: [{ code: 1000, title: 'CF-InvalidAuthToken', detail: 'Invalid Auth Token' }] },
          },
    );
    await expect(
      clientOf(server.origin, inMemory({ access: jwt(600), refresh: 'r0' })).all(readApp, '/v3/apps'),
    ).rejects.toMatchObject({ status: 401, code: 1000 });
    expect(server.asked.map(({ url }) => url.split('?')[0])).toEqual(['/v3/apps', '/oauth/token', '/v3/apps']);
  });
  test('without a login, or with one that ended, throw LoginError', async () => {
    await using server = await serverThat(answers({ n: 0 }));
    await expect(clientOf(server.origin, inMemory(null)).all(readApp, '/v3/apps')).rejects.toBeInstanceOf(LoginError);
    await expect(
      clientOf(server.origin, inMemory({ access: jwt(1), refresh: 'old' })).all(readApp, '/v3/apps'),
    ).rejects.toMatchObject({ reason: 'invalid_token' });
    await expect(
      clientOf(server.origin, inMemory({ access: jwt(1), refresh: null })).all(readApp, '/v3/apps'),
    ).rejects.toMatchObject({ reason: 'expired' });
  });
  test('that are opaque are used until they are refused', async () => {
    await using server = await serverThat(answers({ n: 0 }));
    await clientOf(server.origin, inMemory({ access: 'opaque', refresh: 'r0' })).all(readApp, '/v3/apps');
    expect(server.asked[0]?.headers.authorization).toBe('bearer opaque');
  });
});
