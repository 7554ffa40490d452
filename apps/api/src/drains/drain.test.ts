/** Delivery to real syslog servers: TCP, TLS and UDP on this machine. */

import { createSocket } from 'node:dgram';
import { mkdtempSync, rmSync } from 'node:fs';
import https from 'node:https';
import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import tls from 'node:tls';
import { openOwnCa } from '@cupola/certificates/own-ca';
import { networks } from '@cupola/images/registry/addresses';
import { freePort } from '@cupola/process/free-port';
import { expect, test } from 'vitest';
import { type Drain, openDrain } from './drain.ts';
import type { Target } from './target.ts';

/** Waits until it holds. */
async function until(holds: () => boolean): Promise<void> {
  await expect.poll(holds, { timeout: 20_000, interval: 5 }).toBe(true);
}

interface Receiver extends AsyncDisposable {
  readonly port: number;
  readonly text: string;
  readonly sockets: Set<Socket>;
}

function received(server: Server, event: 'connection' | 'secureConnection', port = 0): Promise<Receiver> {
  const sockets = new Set<Socket>();
  let text = '';
  server.on(event, (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', chunk => {
      text += String(chunk);
    });
  });
  return new Promise(resolve =>
    server.listen(port, '127.0.0.1', () =>
      resolve({
        port: (server.address() as AddressInfo).port,
        get text() {
          return text;
        },
        sockets,
        [Symbol.asyncDispose]: async () => {
          const closed = new Promise(done => server.close(done));
          for (const socket of sockets) socket.destroy();
          await closed;
        },
      }),
    ),
  );
}

function drainTo(target: Partial<Target> & { port: number }, ca?: string): Drain & { said: string[] } {
  const said: string[] = [];
  const drain = openDrain({
    target: { kind: 'tcp', host: '127.0.0.1', ...target } as Target,
    allowed: networks(['127.0.0.1', '::1']),
    say: text => said.push(text),
    ...(ca === undefined ? {} : { ca }),
  });
  return Object.assign(drain, { said });
}

test('messages come over TCP in order, framed by their octets', async () => {
  await using server = await received(net.createServer(), 'connection');
  await using drain = drainTo({ port: server.port });
  drain.send('one\n');
  drain.send('zwei ü\n');
  await until(() => server.text.endsWith('ü\n'));
  expect(server.text).toBe('4 one\n8 zwei ü\n');
});

test('messages come over TLS to the server whose certificate names the host, and to no other', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-drain-'));
  const ca = openOwnCa({ folder, now: Date.now });
  const pair = await ca.issue(['localhost']);
  await using server = await received(tls.createServer(pair), 'secureConnection');
  await using trusted = drainTo({ kind: 'tls', host: 'localhost', port: server.port }, await ca.certificate());
  await using doubtful = drainTo({ kind: 'tls', host: 'localhost', port: server.port });
  trusted.send('one\n');
  doubtful.send('stolen\n');
  await until(() => server.text !== '' && doubtful.said.length > 0);
  expect(server.text).toBe('4 one\n');
  expect(doubtful.said[0]).toMatch(/fails, unable to (?:verify the first|get local issuer) certificate/);
  rmSync(folder, { recursive: true });
});

/** An HTTPS server of `localhost` that answers as `answer` says, and keeps what it was asked. */
async function httpsServer(answer: (body: string) => number) {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-drain-'));
  const ca = openOwnCa({ folder, now: Date.now });
  const asked: string[] = [];
  const server = https.createServer(await ca.issue(['localhost']), (request, response) => {
    text(request).then(body => {
      const { 'content-type': type, authorization = '-', host = '-' } = request.headers;
      asked.push(`${request.method} ${request.url} ${type} ${authorization} ${host.replace(/\d+$/, 'PORT')} ${body}`);
      response.writeHead(answer(body)).end('thanks');
    }, request.destroy);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    asked,
    port,
    ca: await ca.certificate(),
    target: { kind: 'https', host: 'localhost', port, path: '/in?token=x', authorization: 'Basic dTpw' } as const,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
      rmSync(folder, { recursive: true });
    },
  };
}

test('over HTTPS each message is a POST, with the user, path and query of the URL', async () => {
  await using server = await httpsServer(() => 204);
  await using drain = drainTo(server.target, server.ca);
  drain.send('one\n');
  drain.send('zwei ü\n');
  await until(() => server.asked.length === 2);
  const head = 'POST /in?token=x text/plain Basic dTpw localhost:PORT';
  expect(server.asked).toEqual([`${head} one\n`, `${head} zwei ü\n`]);
});

test('over HTTPS in batches what waits is one POST, in order', async () => {
  let isAway = true;
  await using server = await httpsServer(() => (isAway ? 503 : 200));
  await using drain = drainTo({ ...server.target, kind: 'https-batch' }, server.ca);
  drain.send('one\n');
  await until(() => drain.said.length === 1);
  drain.send('two\n');
  drain.send('three\n');
  isAway = false;
  await until(() => drain.said.length === 2);
  expect(server.asked.at(-1)).toMatch(/ one\ntwo\nthree\n$/);
  expect(drain.said).toEqual([
    expect.stringMatching(/^log lines wait: .* \(https-batch\) fails, it answers 503$/),
    expect.stringMatching(/ \(https-batch\) takes log lines again; none were lost$/),
  ]);
});

test('what an HTTPS server refuses for good is dropped, said and counted, and what follows gets through', async () => {
  await using server = await httpsServer(body => (body.startsWith('bad') ? 400 : 200));
  await using drain = drainTo(server.target, server.ca);
  drain.send('bad\n');
  drain.send('good\n');
  await until(() => drain.said.length === 2);
  expect(server.asked.map(line => line.split(' ').at(-1))).toEqual(['bad\n', 'good\n']);
  expect(drain.lost).toBe(1);
  expect(drain.said).toEqual([
    expect.stringMatching(/^log lines are lost: .* fails, it answers 400$/),
    expect.stringMatching(/takes log lines again; 1 was lost$/),
  ]);
});

test('over HTTPS too the certificate must name the host', async () => {
  await using server = await httpsServer(() => 200);
  await using drain = drainTo(server.target);
  drain.send('stolen\n');
  await until(() => drain.said.length > 0);
  expect(drain.said[0]).toMatch(/unable to (?:verify the first|get local issuer) certificate/);
  expect(server.asked).toEqual([]);
});

test('messages come over UDP, one each, cut to what every path carries', async () => {
  const server = createSocket('udp4');
  const got: string[] = [];
  server.on('message', message => got.push(String(message)));
  await new Promise<void>(resolve => server.bind(0, '127.0.0.1', resolve));
  await using drain = drainTo({ kind: 'udp', port: server.address().port });
  drain.send('one\n');
  drain.send(`${'x'.repeat(5_000)}\n`);
  await until(() => got.length === 2);
  expect([got[0], got[1]?.length]).toEqual(['one', 2_048]);
  await new Promise<void>(resolve => server.close(() => resolve()));
});

test('a server that is away is dialled again, and gets what waited', async () => {
  const port = await freePort();
  await using drain = drainTo({ port });
  drain.send('kept\n');
  await until(() => drain.said.length === 1);
  await using second = await received(net.createServer(), 'connection', port);
  await until(() => second.text === '5 kept\n');
  await until(() => drain.said.length === 2);
  expect(drain.said).toEqual([
    `log lines wait: the syslog drain at 127.0.0.1:${port} (tcp) fails, it refuses connections`,
    `the syslog drain at 127.0.0.1:${port} (tcp) takes log lines again; none were lost`,
  ]);
});

test('a connection that breaks is made anew', async () => {
  await using server = await received(net.createServer(), 'connection');
  await using drain = drainTo({ port: server.port });
  drain.send('one\n');
  await until(() => server.text === '4 one\n');
  const closed = [...server.sockets].map(socket => new Promise(resolve => socket.once('close', resolve)));
  for (const socket of server.sockets) socket.destroy();
  await Promise.all(closed);
  await until(() => {
    drain.send('two\n');
    return server.text.includes('4 two\n');
  });
  expect(server.sockets.size).toBeGreaterThan(1);
});

test('a server that does not read costs bounded memory: the rest is counted, and said', async () => {
  await using server = await received(net.createServer({ pauseOnConnect: true }), 'connection');
  await using drain = drainTo({ port: server.port });
  const message = `${'x'.repeat(1_000)}\n`;
  for (let sent = 0; sent < 30_000; sent++) drain.send(message);
  expect(drain.lost).toBe(20_000);
  expect(drain.said).toEqual([
    `the syslog drain at 127.0.0.1:${server.port} (tcp) is too slow: log lines to it are dropped`,
  ]);
});
