import { once } from 'node:events';
import http, { type RequestListener } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { type Dial, probeHttp, probePort } from './dial.ts';

async function listening<T extends net.Server>(server: T): Promise<AsyncDisposable & { dial: Dial }> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    dial: { host: '127.0.0.1', port, timeoutMs: 30_000 },
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise(resolve => server.close(resolve));
      if (server instanceof http.Server) server.closeAllConnections();
      await closed;
    },
  };
}
const web = (answer: RequestListener) => listening(http.createServer(answer));

test('probePort() takes a connection for health, and names a refused one', async () => {
  const server = await listening(net.createServer(socket => socket.end()));
  expect(await probePort(server.dial)).toBeNull();
  await server[Symbol.asyncDispose]();
  expect(await probePort(server.dial)).toBe(`connection refused on port ${server.dial.port}`);
});

test('probeHttp() takes 200 only: no other status, no redirect', async () => {
  await using server = await web((request, response) => {
    const status = Number(request.url?.slice(1));
    response.writeHead(status, { location: '/200' }).end();
  });
  const { port } = server.dial;
  expect(await probeHttp(server.dial, '/200')).toBeNull();
  expect(await probeHttp(server.dial, '/204')).toBe(`GET /204 on port ${port} answered 204, not 200`);
  expect(await probeHttp(server.dial, '/302')).toBe(`GET /302 on port ${port} answered 302, not 200`);
  expect(await probeHttp(server.dial, '/500')).toBe(`GET /500 on port ${port} answered 500, not 200`);
});

test('probeHttp() waits no longer than it may', async () => {
  await using server = await web(() => undefined);
  const { port } = server.dial;
  const dial = { ...server.dial, timeoutMs: 200 };
  expect(await probeHttp(dial, '/')).toBe(`no answer to GET / on port ${port} within 200 ms`);
});

test('probeHttp() names a connection that was cut', async () => {
  await using server = await web(request => request.socket.resetAndDestroy());
  expect(await probeHttp(server.dial, '/')).toBe(`connection reset on port ${server.dial.port}`);
});
