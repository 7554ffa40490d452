/** Connections to copies, as a client and a copy see them. */
import type { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { aRouter, ask, httpBackend, type Peer, raw, rawBackend, routeTo, until } from '../fixtures.ts';

/** A copy that answers the n-th request with the n-th of these bytes, then with the last of them. */
function answering(...answers: readonly string[]): Promise<Peer & { closed(): number }> {
  let asked = 0;
  let closed = 0;
  const serve = (socket: Socket): void => {
    socket.on('close', () => closed++);
    socket.on('data', () => socket.write(answers[Math.min(asked++, answers.length - 1)] as string, 'latin1'));
  };
  return rawBackend(serve).then(peer => Object.assign(peer, { closed: () => closed }));
}

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n';

describe('a connection to a copy', () => {
  test.each([
    ['with a length', OK, 1],
    ['in chunks', CHUNKED, 1],
    ['without a body', 'HTTP/1.1 204 No Content\r\n\r\n', 1],
    ['in HTTP/1.0 that says so', OK.replace('1.1 200 OK', '1.0 200 OK\r\nConnection: keep-alive'), 1],
    ['in HTTP/1.0', OK.replace('1.1', '1.0'), 3],
    ['and asked to close', OK.replace('OK\r\n', 'OK\r\nConnection: x, Close\r\n'), 3],
    ['and about to close', OK.replace('OK\r\n', 'OK\r\nKeep-Alive: timeout=1\r\n'), 3],
    ['with more than its length', `${OK}!`, 3],
    ['with a second answer behind it', `${OK}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen`, 3],
  ])('that was answered %s carries the next request or not', async (_name, bytes, connections) => {
    await using backend = await answering(bytes);
    await using router = await aRouter([routeTo([backend.port])], { settings: { backendKeepAliveMs: 60_000 } });
    const got = [await ask(router.port), await ask(router.port), await ask(router.port)];
    const body = bytes.includes('204') ? '' : 'ok';
    expect(got.map(one => one.body)).toEqual([body, body, body]);
    expect(backend.connections).toBe(connections);
  });

  test("that speaks while it rests is closed, and what it said is nobody's answer", async () => {
    let resting: Socket | null = null;
    let closed = 0;
    await using backend = await rawBackend(socket => {
      resting = socket;
      socket.on('data', () => socket.write(OK));
      socket.on('close', () => closed++);
    });
    await using router = await aRouter([routeTo([backend.port])]);
    await ask(router.port);
    (resting as Socket | null)?.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen');
    await until(() => closed === 1);
    expect((await ask(router.port)).body).toBe('ok');
    expect(backend.connections).toBe(2);
  });

  test.each([
    ['a chunk without its end', `${CHUNKED.slice(0, -5)}x0\r\n\r\n`],
    ['a chunk size that is none', CHUNKED.replace('0\r\n\r\n', '-1\r\n\r\n')],
    ['a trailer that is none', CHUNKED.replace('0\r\n\r\n', '0\r\nno trailer\r\n\r\n')],
  ])('within an answer with %s: the client is cut off', async (_name, bytes) => {
    await using backend = await answering(bytes);
    await using router = await aRouter([routeTo([backend.port])]);
    await expect(ask(router.port)).rejects.toThrow(/aborted|hang up|ECONNRESET/);
    await until(() => backend.closed() === 1);
  });

  test('502 when the headers of an answer are over the limit, or do not end', async () => {
    await using backend = await answering(`HTTP/1.1 200 OK\r\nX-A: ${'a'.repeat(130 * 1024)}`);
    await using router = await aRouter([routeTo([backend.port])]);
    expect((await ask(router.port)).headers['x-cf-routererror']).toBe('endpoint_failure (answer headers too large)');
  });

  test('takes bodies of any size, in chunks or by their length, and is used again', async () => {
    await using backend = await httpBackend((request, response) => void request.pipe(response));
    await using router = await aRouter([routeTo([backend.port])], {
      settings: { backendKeepAliveMs: 60_000, reuseUnsafeIdleMs: 60_000 },
    });
    const body = Buffer.alloc(3_000_000, 'abc');
    const counted = await ask(router.port, { method: 'POST', body });
    const inChunks = await ask(router.port, { method: 'POST', body, headers: { 'transfer-encoding': 'chunked' } });
    expect([counted.body.length, inChunks.body.length]).toEqual([body.length, body.length]);
    expect(inChunks.body === body.toString()).toBe(true);
    expect(backend.connections).toBe(1);
  });

  test('passes on any number of small chunks, at the pace of the client', async () => {
    const many = 100_000;
    const warnings: string[] = [];
    const warned = (warning: Error): void => void warnings.push(warning.name);
    process.on('warning', warned);
    await using backend = await answering(CHUNKED.replace('2\r\nok\r\n', '1\r\na\r\n'.repeat(many)));
    await using router = await aRouter([routeTo([backend.port])]);
    expect((await ask(router.port)).body).toBe('a'.repeat(many));
    process.off('warning', warned);
    expect(warnings).toEqual([]);
  });

  test("with a body under way is not used again when the answer came before the body's end", async () => {
    await using backend = await answering(OK);
    await using router = await aRouter([routeTo([backend.port])]);
    const begun = 'POST / HTTP/1.1\r\nHost: app.localhost\r\nContent-Length: 9\r\n\r\nbegun';
    expect(await raw(router.port, begun, /ok$/)).toMatch(/^HTTP\/1\.1 200 OK/);
    await until(() => backend.closed() === 1);
  });

  test('is closed once it has rested for its time', async () => {
    await using backend = await answering(OK);
    await using router = await aRouter([routeTo([backend.port])], { settings: { backendKeepAliveMs: 50 } });
    await ask(router.port);
    await until(() => backend.closed() === 1 && router.router.state().backendConnections === 0);
  });
});
