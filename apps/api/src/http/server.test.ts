import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { ForbiddenError, UnauthenticatedError, UnavailableError, UnprocessableListError } from '@cupola/model/errors';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { NOBODY } from '../access/actor.ts';
import type { ApiDeps } from '../deps.ts';
import { type ApiRequest, type Endpoint, endpoint, type Reply } from './endpoint.ts';
import { type Authenticate, startServer } from './server.ts';

/** A server of these endpoints, which knows one token: `good`. */
const serve = (...endpoints: Endpoint[]) =>
  serveWith(
    async header => {
      if (header === undefined) throw new UnauthenticatedError('NotAuthenticated');
      if (header !== 'bearer good') throw new UnauthenticatedError('InvalidAuthToken');
      return { ...NOBODY, kind: 'user', guid: 'user-1' };
    },
    ...endpoints,
  );

async function serveWith(authenticate: Authenticate, ...endpoints: Endpoint[]) {
  const lines: Array<Record<string, unknown>> = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const config = { publicUrl: 'http://api.example', appsDomain: 'apps.example' };
  const folder = mkdtempSync(join(tmpdir(), 'cupola-server-'));
  const routerSocket = join(folder, 'api.sock');
  const server = await startServer(
    {
      api: { log, config } as unknown as ApiDeps,
      endpoints,
      authenticate,
    },
    { host: '127.0.0.1', port: 0 },
    routerSocket,
  );
  const url = `http://127.0.0.1:${server.address.port}`;
  const call = (method: string, path: string, init: RequestInit = {}) =>
    fetch(url + path, { method, ...init, headers: { authorization: 'bearer good', ...init.headers } });
  return {
    url,
    call,
    lines,
    server,
    routerSocket,
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const echo = (seen: ApiRequest[], method: Endpoint['method'] = 'GET', path = '/v3/echo/:guid'): Endpoint =>
  endpoint({
    method,
    path,
    body: method === 'GET' ? 'none' : 'json',
    summary: 'Echo',
    handle: async (_deps, request) => {
      seen.push(request);
      return { status: 200, body: { params: request.params, query: request.query, body: request.body ?? null } };
    },
  });
const failing = (error: unknown): Endpoint =>
  endpoint({
    method: 'GET',
    path: '/v3/fails',
    summary: 'Fails',
    handle: async () => {
      throw error;
    },
  });
const answering = (reply: Reply): Endpoint =>
  endpoint({ method: 'GET', path: '/v3/answers', summary: 'Answers', handle: async () => reply });

describe('each request', () => {
  test('has an id on its answer and on its line in the log', async () => {
    await using test = await serve(echo([]));
    const answer = await test.call('GET', '/v3/echo/a');
    const id = answer.headers.get('x-vcap-request-id');
    await expect
      .poll(() => test.lines)
      .toMatchObject([{ requestId: id, path: '/v3/echo/a', status: 200, actor: 'user-1' }]);
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('keeps the id of a router before its own, unless it is no id', async () => {
    await using test = await serve(echo([]));
    const kept = await test.call('GET', '/v3/echo/a', { headers: { 'x-vcap-request-id': 'router-1' } });
    const refused = await test.call('GET', '/v3/echo/a', { headers: { 'x-vcap-request-id': 'a b{}' } });
    expect(kept.headers.get('x-vcap-request-id')).toMatch(/^router-1::[0-9a-f-]{36}$/);
    expect(refused.headers.get('x-vcap-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('tells its handler what the cf CLI says of itself', async () => {
    const seen: ApiRequest[] = [];
    await using test = await serve(echo(seen));
    const headers = { 'x-b3-traceid': 'trace-1', 'user-agent': 'cf/8.18.4 (go1.25; amd64 linux)', prefer: 'wait=20' };
    await test.call('GET', '/v3/echo/a?x=1', { headers });
    expect(seen[0]).toMatchObject({ trace: 'trace-1', userAgent: headers['user-agent'], preferWaitSeconds: 20 });
    expect(seen[0]?.url.href).toBe('http://api.example/v3/echo/a?x=1');
  });

  test('finds its endpoint with a slash at its end, and decodes its path', async () => {
    await using test = await serve(echo([]));
    expect(await (await test.call('GET', '/v3/echo/a%20b/')).json()).toMatchObject({ params: { guid: 'a b' } });
  });

  test('keeps brackets in its query and joins what comes twice', async () => {
    await using test = await serve(echo([]));
    const answer = await test.call('GET', '/v3/echo/a?fields%5Bspace%5D=name&types=A&types=B');
    expect(await answer.json()).toMatchObject({ query: { 'fields[space]': 'name', types: 'A,B' } });
  });
});

describe('a request line that names another host', () => {
  test.each(['http://evil.example/v3/echo/a?x=1', 'http://[/v3/echo/a?x=1'])(
    '%s leads to no link there',
    async target => {
      const seen: ApiRequest[] = [];
      await using test = await serve(echo(seen));
      const { port } = new URL(test.url);
      const sent = httpRequest({ port, path: target, headers: { authorization: 'bearer good' } }).end();
      const [answer] = await once(sent, 'response');
      answer.resume();
      expect(answer.statusCode).toBeLessThan(500);
      expect(seen.map(({ url }) => url.origin)).not.toContain('http://evil.example');
    },
  );
});

describe('a request without a place or a name', () => {
  test('GET of an unknown path is 404 in the words that the cf CLI knows', async () => {
    await using test = await serve();
    const answer = await test.call('GET', '/v3/nothing');
    expect(answer.status).toBe(404);
    expect(await answer.json()).toEqual({ errors: [{ code: 10000, title: 'CF-NotFound', detail: 'Unknown request' }] });
    expect(answer.headers.get('x-vcap-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('a path that cannot be decoded is 400', async () => {
    await using test = await serve(echo([]));
    expect((await test.call('GET', '/v3/echo/%E0%A4%A')).status).toBe(400);
  });

  test('without a token is 401 before a byte of its body is read', async () => {
    const seen: ApiRequest[] = [];
    await using test = await serve(echo(seen, 'POST'));
    const sent = httpRequest(`${test.url}/v3/echo/a`, { method: 'POST', headers: { 'content-length': 1_000_000 } });
    sent.on('error', () => undefined); // The body is never finished.
    sent.write('{');
    const [answer] = await once(sent, 'response');
    expect(answer.statusCode).toBe(401);
    sent.destroy();
    expect(seen).toEqual([]);
  });

  test('with a token that does not count says so by its title', async () => {
    await using test = await serve(echo([]));
    const answer = await test.call('GET', '/v3/echo/a', { headers: { authorization: 'bearer bad' } });
    expect([answer.status, await answer.json()]).toEqual([
      401,
      { errors: [{ code: 1000, title: 'CF-InvalidAuthToken', detail: 'Invalid Auth Token' }] },
    ]);
  });
});

describe('bodies', () => {
  const json = { 'content-type': 'application/json' };

  test('an empty one with the type of JSON is none', async () => {
    await using test = await serve(echo([], 'POST'));
    const answer = await test.call('POST', '/v3/echo/a', { headers: json });
    expect([answer.status, await answer.json()]).toMatchObject([200, { body: null }]);
  });

  test.each(['{', '[1]', '"text"', 'null', '{"a":1}x'])('%s is 400 MessageParseError', async body => {
    await using test = await serve(echo([], 'POST'));
    const answer = await test.call('POST', '/v3/echo/a', { headers: json, body });
    expect([answer.status, await answer.json()]).toMatchObject([400, { errors: [{ code: 1001 }] }]);
  });

  test('bytes that are no UTF-8 are 400', async () => {
    await using test = await serve(echo([], 'POST'));
    const body = new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d]);
    expect((await test.call('POST', '/v3/echo/a', { headers: json, body })).status).toBe(400);
  });

  test('nesting is bounded, brackets in strings do not count', async () => {
    await using test = await serve(echo([], 'POST'));
    const deep = `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
    const flat = JSON.stringify({ a: '\\"['.repeat(100) });
    expect((await test.call('POST', '/v3/echo/a', { headers: json, body: deep })).status).toBe(400);
    expect((await test.call('POST', '/v3/echo/a', { headers: json, body: flat })).status).toBe(200);
  });

  test('over 15 MB they are 413, said or not said beforehand', async () => {
    await using test = await serve(echo([], 'POST'));
    const large = Buffer.alloc(15 * 1024 * 1024 + 1, 0x20);
    const said = await test.call('POST', '/v3/echo/a', { headers: json, body: large });
    const streamed = await test.call('POST', '/v3/echo/a', {
      headers: json,
      body: Readable.toWeb(Readable.from([large])) as ReadableStream,
      duplex: 'half',
    } as RequestInit);
    expect([said.status, streamed.status]).toEqual([413, 413]);
    expect(await streamed.json()).toMatchObject({ errors: [{ title: 'CF-BodyTooLarge' }] });
  });

  test('what breaks the schema is 422 with every sentence', async () => {
    const schema = z.strictObject(
      { name: z.string({ error: 'Name must be a string' }), size: z.number({ error: 'Size is not a number' }) },
      { error: issue => (issue.code === 'unrecognized_keys' ? `Unknown field(s): '${issue.keys.join("', '")}'` : '') },
    );
    const strict = endpoint({
      method: 'POST',
      path: '/v3/strict',
      summary: 'Strict',
      bodySchema: schema,
      handle: async () => ({ status: 200 }),
    });
    await using test = await serve(strict);
    const answer = await test.call('POST', '/v3/strict', { headers: json, body: '{"name":1,"size":"x","more":1}' });
    expect([answer.status, await answer.json()]).toEqual([
      422,
      {
        errors: [
          {
            code: 10008,
            title: 'CF-UnprocessableEntity',
            detail: "Name must be a string, Size is not a number, Unknown field(s): 'more'",
          },
        ],
      },
    ]);
  });
});

describe('queries', () => {
  const listing = (path: string): Endpoint =>
    endpoint({
      method: 'GET',
      path,
      summary: 'List',
      query: z.strictObject({
        names: z.string().exactOptional(),
        'created_ats[lt]': z.string().regex(/Z$/, { error: 'has an invalid timestamp format.' }).exactOptional(),
        after: z.string().exactOptional(),
      }),
      handle: async (_deps, { query }) => ({ status: 200, body: query }),
    });

  test('an unknown parameter of v3 is 400, with the known ones', async () => {
    await using test = await serve(listing('/v3/list'));
    const answer = await test.call('GET', '/v3/list?bogus=1&names=a');
    expect([answer.status, await answer.json()]).toEqual([
      400,
      {
        errors: [
          {
            code: 10005,
            title: 'CF-BadQueryParameter',
            detail:
              "The query parameter is invalid: Unknown query parameter(s): 'bogus'. Valid parameters are: 'names', 'created_ats'",
          },
        ],
      },
    ]);
  });

  test('an unknown parameter elsewhere is ignored', async () => {
    await using test = await serve(listing('/api/v1/read'));
    expect(await (await test.call('GET', '/api/v1/read?bogus=1&names=a')).json()).toEqual({ names: 'a' });
  });

  test('a bad value is 400 with the parameter in words', async () => {
    await using test = await serve(listing('/v3/list'));
    const answer = await test.call('GET', '/v3/list?created_ats[lt]=yesterday');
    expect(await answer.json()).toMatchObject({
      errors: [{ detail: 'The query parameter is invalid: Created ats has an invalid timestamp format.' }],
    });
  });
});

describe('answers', () => {
  test('warnings are form-encoded each, so that the cf CLI can split them at commas', async () => {
    await using test = await serve(answering({ status: 200, body: {}, warnings: ['one, two', 'é & 50 %'] }));
    const answer = await test.call('GET', '/v3/answers');
    expect(answer.headers.get('x-cf-warnings')).toBe('one%2C+two,%C3%A9+%26+50+%25');
  });

  test('without a body they have the length 0, or none for 204', async () => {
    await using accepted = await serve(
      answering({ status: 202, headers: { Location: 'http://api.example/v3/jobs/1' } }),
    );
    await using empty = await serve(answering({ status: 204 }));
    const first = await accepted.call('GET', '/v3/answers');
    expect([first.status, first.headers.get('content-length'), first.headers.get('location')]).toEqual([
      202,
      '0',
      'http://api.example/v3/jobs/1',
    ]);
    expect((await empty.call('GET', '/v3/answers')).headers.get('content-length')).toBeNull();
  });

  test('a stream is sent as it is', async () => {
    const body = Readable.from([Buffer.from('half '), Buffer.from('and half')]);
    await using test = await serve(answering({ status: 200, body, contentType: 'application/x-tar' }));
    const answer = await test.call('GET', '/v3/answers');
    expect([answer.headers.get('content-type'), await answer.text()]).toEqual(['application/x-tar', 'half and half']);
  });

  test('a stream that breaks breaks the connection: half an answer is none', async () => {
    const body = Readable.from(
      (async function* () {
        yield Buffer.from('half');
        throw new Error('disk gone');
      })(),
    );
    await using test = await serve(answering({ status: 200, body, contentType: 'application/x-tar' }));
    const answer = await test.call('GET', '/v3/answers');
    await expect(answer.text()).rejects.toThrow();
  });

  test('a failure that passes says when to ask again', async () => {
    await using test = await serve(failing(new UnavailableError('The store is away.')));
    const answer = await test.call('GET', '/v3/fails');
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5']);
  });

  test('several things that are wrong are an entry each', async () => {
    await using test = await serve(failing(new UnprocessableListError(['one', 'two'])));
    const { errors } = (await (await test.call('GET', '/v3/fails')).json()) as { errors: Array<{ detail: string }> };
    expect(errors.map(({ detail }) => detail)).toEqual(['one', 'two']);
  });

  test('an expected failure is no error in the log', async () => {
    await using test = await serve(failing(new ForbiddenError()));
    expect((await test.call('GET', '/v3/fails')).status).toBe(403);
    await expect.poll(() => test.lines.length).toBe(1);
    expect(test.lines).toMatchObject([{ level: 30, status: 403 }]);
  });

  test('a bug is 500 without details, and once in the log with the id of its request', async () => {
    await using test = await serve(failing(new TypeError('secret at /home/me')));
    const answer = await test.call('GET', '/v3/fails');
    expect([answer.status, await answer.json()]).toEqual([
      500,
      { errors: [{ code: 10001, title: 'UnknownError', detail: 'An unknown error occurred.' }] },
    ]);
    await expect.poll(() => test.lines.length).toBe(2);
    expect(test.lines.filter(({ level }) => Number(level) >= 50)).toMatchObject([
      { requestId: answer.headers.get('x-vcap-request-id'), err: { message: 'secret at /home/me' } },
    ]);
  });
});

describe('the signal of a request', () => {
  /** A handler that waits for its signal, and says when it has begun and ended. */
  function waiting() {
    const begun = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    const held = endpoint({
      method: 'GET',
      path: '/v3/held',
      summary: 'Held',
      handle: async (_deps, { signal }) => {
        begun.resolve();
        if (!signal.aborted) await once(signal, 'abort');
        ended.resolve();
        return { status: 200, body: { held: true } };
      },
    });
    return { held, begun: begun.promise, ended: ended.promise };
  }

  test('aborts when the client has gone', async () => {
    const { held, begun, ended } = waiting();
    await using test = await serve(held);
    const client = new AbortController();
    const answer = test.call('GET', '/v3/held', { signal: client.signal });
    await begun;
    client.abort();
    await expect(answer).rejects.toThrow();
    await ended;
    await expect.poll(() => test.lines).toMatchObject([{ status: 499 }]);
  });

  test('that has aborted before its handler begins ends the request: another API may have done it since', async () => {
    const begun = Promise.withResolvers<void>();
    const hasGone = Promise.withResolvers<void>();
    const seen: ApiRequest[] = [];
    const slowly: Authenticate = async () => {
      begun.resolve();
      await hasGone.promise;
      return NOBODY;
    };
    await using test = await serveWith(slowly, echo(seen));
    const client = new AbortController();
    const answer = test.call('GET', '/v3/echo/a', { signal: client.signal });
    await begun.promise;
    client.abort();
    await expect(answer).rejects.toThrow();
    await expect.poll(() => test.lines).toMatchObject([{ status: 499 }]);
    hasGone.resolve();
    await test.call('GET', '/v3/echo/b');
    expect(seen.map(({ params }) => params.guid)).toEqual(['b']);
  });

  test('aborts when the server drains: the request is answered, its connection closed, and the server ends', async () => {
    const { held, begun } = waiting();
    await using test = await serve(held, echo([]));
    await test.call('GET', '/v3/echo/a'); // An idle connection, kept alive.
    const answer = test.call('GET', '/v3/held');
    await begun;
    await test.server[Symbol.asyncDispose]();
    expect([(await answer).status, (await answer).headers.get('connection')]).toEqual([200, 'close']);
    await expect(test.call('GET', '/v3/echo/a')).rejects.toThrow();
  });
});

describe('the socket of the router', () => {
  /** GET by the router: with what it says of its client. */
  function askAsRouter(socketPath: string, headers: Record<string, string>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      httpRequest({ socketPath, path: '/v3/where', headers: { authorization: 'bearer good', ...headers } }, answer => {
        let text = '';
        answer.on('data', chunk => {
          text += chunk;
        });
        answer.on('end', () => resolve(JSON.parse(text)));
      })
        .on('error', reject)
        .end();
    });
  }
  const where = endpoint({
    method: 'GET',
    path: '/v3/where',
    summary: 'Where',
    handle: async ({ config }, { url, clientAddress }) => ({
      status: 200,
      body: { origin: config.publicUrl, url: url.href, clientAddress },
    }),
  });

  test('links begin with the origin that was asked, and the client is the router’s', async () => {
    await using api = await serve(where);
    const forwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-for': '203.0.113.9, 198.51.100.7' };
    expect(await askAsRouter(api.routerSocket, { host: 'api.apps.example', ...forwarded })).toEqual({
      origin: 'https://api.apps.example',
      url: 'https://api.apps.example/v3/where',
      clientAddress: '198.51.100.7',
    });
    const other = { host: 'UAA.apps.example:8443', 'x-forwarded-proto': 'http' };
    expect(await askAsRouter(api.routerSocket, other)).toMatchObject({ origin: 'http://uaa.apps.example:8443' });
  });

  test('a host that is none of the platform’s own is in no link', async () => {
    await using api = await serve(where);
    expect(await askAsRouter(api.routerSocket, { host: 'evil.example' })).toMatchObject({
      origin: 'http://api.example',
    });
  });

  test('on the public listener nobody says who they are or what they asked', async () => {
    await using api = await serve(where);
    const headers = { host: 'api.apps.example', 'x-forwarded-proto': 'https', 'x-forwarded-for': '203.0.113.9' };
    const answer = await api.call('GET', '/v3/where', { headers });
    expect(await answer.json()).toMatchObject({ origin: 'http://api.example', clientAddress: '127.0.0.1' });
  });

  test('only its owner can open it', async () => {
    await using api = await serve(where);
    expect(statSync(api.routerSocket).mode & 0o777).toBe(0o600);
  });
});
