import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import net from 'node:net';
import { describe, expect, test } from 'vitest';
import { aDestination, aRoute, aRouter, deadPort, raw, rawBackend, routeTo, until } from './fixtures.ts';

const UPGRADE =
  'GET /chat HTTP/1.1\r\nHost: app.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n';
const ACCEPT = createHash('sha1')
  .update('dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11')
  .digest('base64');
const SWITCH = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${ACCEPT}\r\n\r\n`;

/** Accepts the upgrade, then echoes bytes. */
function echo(socket: Socket): void {
  let text = '';
  const head = (chunk: Buffer): void => {
    text += chunk.toString('latin1');
    const end = text.indexOf('\r\n\r\n');
    if (end < 0) return;
    socket.off('data', head);
    socket.write(SWITCH);
    socket.write(text.slice(end + 4), 'latin1');
    socket.on('data', more => socket.write(more));
  };
  socket.on('data', head);
}

/** A client that has sent `bytes` and gathers what comes. */
function client(port: number, bytes: string): { socket: Socket; text(): string } {
  let text = '';
  const socket = net.connect(port, '127.0.0.1', () => socket.write(bytes, 'latin1'));
  socket.on('data', chunk => {
    text += chunk.toString('latin1');
  });
  socket.on('error', () => undefined);
  return { socket, text: () => text };
}

describe('upgrade', () => {
  test('both sides speak freely after 101, and either ends both', async () => {
    await using backend = await rawBackend(echo);
    await using router = await aRouter([routeTo([backend.port])]);
    const { socket, text } = client(router.port, `${UPGRADE}early`);
    await until(() => text().endsWith('early'));
    expect(text()).toContain(`Sec-WebSocket-Accept: ${ACCEPT}\r\n`);
    expect(text()).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/);
    socket.write('later');
    await until(() => text().endsWith('earlylater'));
    const closed = new Promise(resolve => socket.once('close', resolve));
    await backend[Symbol.asyncDispose]();
    await closed;
    await until(() => router.router.counts.get('app-1')?.get(101) === 1);
    expect(router.router.state().held).toBe(0);
  });

  test("the app sees the upgrade and the platform's headers", async () => {
    let seen = '';
    await using backend = await rawBackend(socket => {
      socket.once('data', chunk => {
        seen = chunk.toString('latin1');
      });
      echo(socket);
    });
    await using router = await aRouter([routeTo([backend.port])]);
    const { socket, text } = client(router.port, UPGRADE);
    await until(() => text().includes('101'));
    expect(seen).toMatch(/^GET \/chat HTTP\/1\.1\r\nHost: app\.localhost\r\n/);
    expect(seen).toMatch(/\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n/);
    expect(seen).toMatch(/\r\nX-CF-InstanceId: copy-0\r\n/);
    socket.destroy();
  });

  test('after anything but 101 the answer comes through and both connections are over: nothing rides behind it', async () => {
    let got = '';
    await using backend = await rawBackend(socket =>
      socket.on('data', chunk => {
        got += chunk.toString('latin1');
        socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
      }),
    );
    await using router = await aRouter([routeTo([backend.port])]);
    const text = await raw(router.port, `${UPGRADE}GET /rider HTTP/1.1\r\nHost: app.localhost\r\n\r\n`);
    expect(text).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n/);
    expect(text).toMatch(/\r\nConnection: close\r\n/);
    expect(text.endsWith('\r\n\r\nno')).toBe(true);
    expect(got).not.toContain('rider');
  });

  test('a chunked refusal is passed on unchunked, to its end', async () => {
    await using backend = await rawBackend(socket =>
      socket.on('data', () =>
        socket.end(
          'HTTP/1.1 426 Upgrade Required\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nnew\r\n2\r\ner\r\n0\r\n\r\n',
        ),
      ),
    );
    await using router = await aRouter([routeTo([backend.port])]);
    const text = await raw(router.port, UPGRADE);
    expect(text).toMatch(/^HTTP\/1\.1 426 /);
    expect(text.endsWith('\r\n\r\nnewer')).toBe(true);
  });

  test('another copy is dialled when one refuses, and an upgrade is held like any request', async () => {
    await using backend = await rawBackend(echo);
    await using router = await aRouter([
      routeTo([await deadPort(), backend.port]),
      aRoute({ guid: 'r2', host: 'later', destinations: [aDestination({ holdMs: 5_000 })] }),
    ]);
    const one = client(router.port, UPGRADE);
    const two = client(router.port, UPGRADE);
    await until(() => one.text().includes(' 101 ') && two.text().includes(' 101 '));
    const held = client(router.port, UPGRADE.replace('app.localhost', 'later.localhost'));
    await until(() => router.router.state().held === 1);
    router.api.upsert(routeTo([backend.port], { guid: 'r2', host: 'later' }));
    await until(() => held.text().includes(' 101 '));
    for (const { socket } of [one, two, held]) socket.destroy();
  });

  test.each([
    ['no such route', UPGRADE.replace('app.', 'nobody.'), 404],
    ['both framings', UPGRADE.replace('\r\n\r\n', '\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n'), 400],
    ['two Hosts', UPGRADE.replace('\r\n\r\n', '\r\nHost: other.localhost\r\n\r\n'), 400],
  ])('is refused and closed: %s', async (_name, bytes, status) => {
    await using backend = await rawBackend(echo);
    await using router = await aRouter([routeTo([backend.port])]);
    expect(await raw(router.port, bytes)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(backend.connections).toBe(0);
  });

  test('ends after both sides were silent too long', async () => {
    await using backend = await rawBackend(echo);
    await using router = await aRouter([routeTo([backend.port])], { settings: { upgradeIdleMs: 100 } });
    const text = await raw(router.port, UPGRADE);
    expect(text).toContain(' 101 ');
  });

  test("a client that leaves ends the app's side", async () => {
    const ended = Promise.withResolvers<void>();
    await using backend = await rawBackend(socket => {
      echo(socket);
      socket.on('close', () => ended.resolve());
    });
    await using router = await aRouter([routeTo([backend.port])]);
    const { socket, text } = client(router.port, UPGRADE);
    await until(() => text().includes(' 101 '));
    socket.destroy();
    await ended.promise;
  });

  test('a client that leaves while its upgrade waits is forgotten', async () => {
    await using router = await aRouter([aRoute({ destinations: [aDestination({ holdMs: 60_000 })] })]);
    const { socket } = client(router.port, UPGRADE);
    await until(() => router.router.state().held === 1);
    socket.end();
    await until(() => router.router.state().held === 0);
  });
});
