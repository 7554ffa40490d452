import net from 'node:net';
import { describe, expect, test } from 'vitest';
import { aRouter, ask, httpBackend, raw, routeTo } from './fixtures.ts';

/** Says `first`, says `next` once `heard` has come, and gives all that came until the router closed the connection. */
function converse(
  port: number,
  { first, heard, next }: { first: string; heard: RegExp; next: string },
): Promise<string> {
  return new Promise(resolve => {
    let text = '';
    let said = false;
    const socket = net.connect(port, '127.0.0.1', () => socket.write(first));
    socket.setEncoding('latin1');
    socket.on('data', chunk => {
      text += chunk;
      if (said || !heard.test(text)) return;
      said = true;
      socket.write(next);
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text));
  });
}

const GET = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: app.localhost\r\n\r\n`;

describe('a kept connection', () => {
  test('answers requests with and without bodies in the order in which they came', async () => {
    await using backend = await httpBackend((request, response) => {
      response.setHeader('X-Path', request.url ?? '');
      request.pipe(response);
    });
    await using router = await aRouter([routeTo([backend.port])]);
    const post = 'POST /2 HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: 3\r\n\r\ntwo';
    const last = 'GET /4 HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n';
    const text = await raw(router.port, GET('/1') + post + GET('/3') + last);
    expect([...text.matchAll(/X-Path: (\S+)/gi)].map(([, path]) => path)).toEqual(['/1', '/2', '/3', '/4']);
    expect(text).toMatch(/\r\n3\r\ntwo\r\n/);
  });

  test('is told when what follows a whole answer is no HTTP', async () => {
    await using backend = await httpBackend((_request, response) => response.end('whole'));
    await using router = await aRouter([routeTo([backend.port])]);
    const text = await converse(router.port, { first: GET('/'), heard: /whole/, next: 'no http\r\n\r\n' });
    expect(text).toMatch(/whole.*HTTP\/1\.1 400 Bad Request\r\n.*X-Cf-RouterError: bad_request/s);
  });

  test('is cut when no HTTP comes within an answer: a refusal there would be taken for a part of it', async () => {
    await using backend = await httpBackend((_request, response) => void response.write('begun'));
    await using router = await aRouter([routeTo([backend.port])]);
    const text = await converse(router.port, { first: GET('/'), heard: /begun/, next: 'no http\r\n\r\n' });
    // Not a bare `400`: one of the answer's own random ids may hold these digits.
    expect(text).not.toMatch(/HTTP\/1\.1 400|bad_request/);
  });

  test.each([0, 1, 1_024, 65_536, 1_000_000])(
    'carries an answer of %i bytes whole, in one piece or in many',
    async size => {
      await using backend = await httpBackend((_request, response) =>
        response.setHeader('Content-Length', size).end('x'.repeat(size)),
      );
      await using router = await aRouter([routeTo([backend.port])]);
      const { body, headers } = await ask(router.port);
      expect([body.length, headers['content-length']]).toEqual([size, String(size)]);
    },
  );
});
