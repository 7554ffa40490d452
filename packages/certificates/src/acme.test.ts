/**
 * Orders, also against a real ACME server: Pebble, Let's Encrypt's own for tests, built from its Go module since it is in no Debian package.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Acme, createAcme } from './acme.ts';
import { openOwnCa } from './own-ca.ts';

const PEBBLE = 'github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.3';
const HOUR_MS = 3_600_000;
let folder: string;
let said: string[];
let nowMs: number;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cupola-acme-'));
  said = [];
  nowMs = Date.now();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function acmeAt(directoryUrl: string, ca?: string): Acme {
  return createAcme({
    folder: join(folder, 'acme'),
    directoryUrl,
    email: 'operator@cupola.dev',
    ...(ca === undefined ? {} : { ca }),
    isServed: host => host !== 'unserved.cupola.dev',
    now: () => nowMs,
    say: text => said.push(text),
  });
}

/** Below those that the kernel lends to connections: nobody gets it while the one that is to listen there is away. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 5_000);
    const server = net.createServer().listen(port, '127.0.0.1');
    const isFree = await Promise.race([
      once(server, 'listening').then(() => true),
      once(server, 'error').then(() => false),
    ]).catch(() => false);
    if (!isFree) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}

describe('with an authority that is away', () => {
  test('pairFor() answers at once that there is none, says what to do, and asks again only after an hour', async () => {
    const acme = acmeAt(`https://127.0.0.1:${await freePort()}/dir`);
    expect(await acme.pairFor('app.cupola.dev')).toBeNull();
    await acme.idle();
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(/no certificate for app\.cupola\.dev .*cannot be reached.* Check this machine's network/);
    nowMs += HOUR_MS - 1;
    await acme.pairFor('app.cupola.dev');
    await acme.idle();
    expect(said).toHaveLength(1);
    nowMs += 1;
    await acme.pairFor('app.cupola.dev');
    await acme.idle();
    expect(said).toHaveLength(2);
    // The second pause is two hours, and a restart does not shorten it.
    nowMs += HOUR_MS;
    const again = acmeAt(`https://127.0.0.1:${await freePort()}/dir`);
    await again.pairFor('app.cupola.dev');
    await again.idle();
    expect(said).toHaveLength(2);
  });

  test('orders nothing for names that nobody serves, or that no authority could prove', async () => {
    const acme = acmeAt('https://127.0.0.1:1/dir');
    const names = [null, 'localhost', 'app.localhost', 'unserved.cupola.dev', 'app.internal'];
    expect(await Promise.all(names.map(name => acme.pairFor(name)))).toEqual([null, null, null, null, null]);
    await acme.idle();
    expect(said).toEqual([]);
  });

  test('orders no more than 40 in a week', async () => {
    mkdirSync(join(folder, 'acme'));
    const orders = Array.from({ length: 40 }, () => nowMs);
    writeFileSync(join(folder, 'acme', 'ledger.json'), JSON.stringify({ orders, failures: {}, kinds: {} }));
    const acme = acmeAt(`https://127.0.0.1:${await freePort()}/dir`);
    await acme.pairFor('app.cupola.dev');
    await acme.idle();
    expect(said).toEqual([]);
    nowMs += 7 * 24 * HOUR_MS;
    await acme.pairFor('app.cupola.dev');
    await acme.idle();
    expect(said).toHaveLength(1);
  });
});

interface Authority extends AsyncDisposable {
  readonly directoryUrl: string;
  readonly ca: string;
}

/** Pebble, which asks every name at these ports; it resolves names by a server that answers 127.0.0.1 to all. */
async function pebble({ httpPort, tlsPort }: { httpPort?: number; tlsPort?: number }): Promise<Authority> {
  const ca = openOwnCa({ folder: join(folder, 'pebble-ca'), now: Date.now });
  const { cert, key } = await ca.issue(['127.0.0.1', 'localhost']);
  const [port, managementPort] = [await freePort(), await freePort()];
  writeFileSync(join(folder, 'pebble.pem'), cert);
  writeFileSync(join(folder, 'pebble.key'), key);
  writeFileSync(
    join(folder, 'pebble.json'),
    JSON.stringify({
      pebble: {
        listenAddress: `127.0.0.1:${port}`,
        managementListenAddress: `127.0.0.1:${managementPort}`,
        certificate: join(folder, 'pebble.pem'),
        privateKey: join(folder, 'pebble.key'),
        httpPort: httpPort ?? (await freePort()),
        tlsPort: tlsPort ?? (await freePort()),
        ocspResponderURL: '',
        externalAccountBindingRequired: false,
      },
    }),
  );
  const dns = await dnsOf('127.0.0.1');
  const child: ChildProcess = spawn(
    join(programs, 'pebble'),
    ['-config', join(folder, 'pebble.json'), '-dnsserver', `127.0.0.1:${dns.port}`],
    { env: { PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  await new Promise<void>(resolve =>
    child.stdout?.on('data', chunk => {
      if (String(chunk).includes('ACME directory available')) resolve();
    }),
  );
  // It says so a moment before it listens.
  await expect.poll(() => connects(port), { timeout: 20_000, interval: 10 }).toBe(true);
  return {
    directoryUrl: `https://127.0.0.1:${port}/dir`,
    ca: await ca.certificate(),
    [Symbol.asyncDispose]: async () => {
      const ended = new Promise(resolve => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
      dns.close();
    },
  };
}

function connects(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = net.connect(port, '127.0.0.1', () => resolve(true));
    socket.once('connect', () => socket.destroy()).once('error', () => resolve(false));
  });
}

/** A name server over TCP, as Pebble asks it, whose answer to every question for an A record is that address. */
async function dnsOf(address: string): Promise<{ port: number; close(): void }> {
  const server = net.createServer(socket =>
    socket
      .on('error', () => undefined)
      .on('data', chunk => {
        const reply = answerTo(chunk.subarray(2));
        socket.write(Buffer.concat([Buffer.from([reply.length >> 8, reply.length & 0xff]), reply]));
      }),
  );
  const answerTo = (query: Buffer): Buffer => {
    let end = 12;
    while (query[end] !== 0) end += (query[end] ?? 0) + 1;
    const question = query.subarray(12, end + 5);
    const isA = question.readUInt16BE(question.length - 4) === 1;
    const head = Buffer.from([query[0] ?? 0, query[1] ?? 0, 0x81, 0x80, 0, 1, 0, isA ? 1 : 0, 0, 0, 0, 0]);
    const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...address.split('.').map(Number)]);
    return Buffer.concat([head, question, ...(isA ? [record] : [])]);
  };
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, close: () => void server.close() };
}

/** What the router does with the paths of proofs. */
async function door(answer: (path: string) => string | null): Promise<{ port: number; server: http.Server }> {
  const server = http.createServer((request, response) => {
    const proof = answer(request.url ?? '');
    response.writeHead(proof === null ? 404 : 200).end(proof ?? '');
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, server };
}

/** A door that proves by TLS-ALPN-01, as the router's does. */
async function tlsDoor(proofFor: Acme['proofFor']): Promise<{ port: number; server: tls.Server }> {
  const server = tls.createServer({
    ALPNCallback: function (this: tls.TLSSocket, { servername, protocols }) {
      const proof = protocols.includes('acme-tls/1') ? proofFor(servername) : null;
      if (proof === null) return undefined;
      this.setKeyCert({ ...proof });
      return 'acme-tls/1';
    } as NonNullable<tls.TlsOptions['ALPNCallback']>,
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, server };
}

/** Pebble's source asks for a Go that fetches its own newer self. */
function hasGo(): boolean {
  const said = /go1\.(\d+)/.exec(spawnSync('go', ['version'], { encoding: 'utf8' }).stdout ?? '');
  return Number(said?.[1] ?? 0) >= 21;
}
let programs: string;

describe.skipIf(!hasGo())('with Pebble', () => {
  beforeAll(() => {
    programs = mkdtempSync(join(tmpdir(), 'cupola-pebble-'));
    const env = { ...process.env, GOBIN: programs, GOPATH: join(programs, 'go'), GOFLAGS: '-modcacherw' };
    execFileSync('go', ['install', PEBBLE], { env, stdio: 'pipe' });
  }, 600_000);
  afterAll(() => rmSync(programs, { recursive: true, force: true }));

  test('where port 80 is not ours the host is proven at port 443, and there at once the next time', async () => {
    let acme: Acme | null = null;
    let asked = 0;
    const { port, server } = await tlsDoor(host => acme?.proofFor(host) ?? null);
    const closed = await door(() => {
      asked++;
      return null;
    });
    await using authority = await pebble({ httpPort: closed.port, tlsPort: port });
    acme = acmeAt(authority.directoryUrl, authority.ca);
    await acme.pairFor('app.cupola.dev');
    await acme.idle();
    expect(said).toEqual(['a certificate for app.cupola.dev has come from the ACME authority']);
    const first = await acme.pairFor('app.cupola.dev');
    expect(new X509Certificate(first?.cert ?? '').issuer).toContain('Pebble');
    expect([asked > 0, acme.proofFor('app.cupola.dev')]).toEqual([true, null]);
    asked = 0;
    const { validToDate } = new X509Certificate(first?.cert ?? '');
    nowMs = validToDate.getTime() - HOUR_MS;
    await acme.pairFor('app.cupola.dev');
    await acme.idle();
    expect((await acme.pairFor('app.cupola.dev'))?.cert).not.toBe(first?.cert);
    expect(asked).toBe(0);
    server.close();
    closed.server.close();
  });

  test('pairFor() has an authority’s certificate once its order is through, and after a restart', async () => {
    let acme: Acme | null = null;
    const { port, server } = await door(path => acme?.answer(path) ?? null);
    await using authority = await pebble({ httpPort: port });
    acme = acmeAt(authority.directoryUrl, authority.ca);
    expect(await acme.pairFor('app.cupola.dev')).toBeNull();
    await acme.idle();
    expect(said).toEqual(['a certificate for app.cupola.dev has come from the ACME authority']);
    const pair = await acme.pairFor('app.cupola.dev');
    const certificate = new X509Certificate(pair?.cert ?? '');
    expect([certificate.subjectAltName, certificate.issuer]).toEqual([
      'DNS:app.cupola.dev',
      expect.stringContaining('Pebble'),
    ]);
    expect(readFileSync(join(folder, 'acme', 'account.key'), 'utf8')).toContain('PRIVATE KEY');
    expect(await acmeAt('https://127.0.0.1:1/dir').pairFor('app.cupola.dev')).toEqual(pair);
    server.close();
  });

  test('pairFor() orders anew in the last third of a life, and shows the former one meanwhile', async () => {
    let acme: Acme | null = null;
    const { port, server } = await door(path => acme?.answer(path) ?? null);
    await using authority = await pebble({ httpPort: port });
    acme = acmeAt(authority.directoryUrl, authority.ca);
    await acme.pairFor('app.cupola.dev');
    await acme.idle();
    const first = await acme.pairFor('app.cupola.dev');
    const certificate = new X509Certificate(first?.cert ?? '');
    const life = certificate.validToDate.getTime() - certificate.validFromDate.getTime();
    nowMs = certificate.validToDate.getTime() - life / 4;
    expect(await acme.pairFor('app.cupola.dev')).toBe(first);
    await acme.idle();
    expect((await acme.pairFor('app.cupola.dev'))?.cert).not.toBe(first?.cert);
    server.close();
  });

  test('a host that cannot be proven gets none, and the words say what to check', async () => {
    const { port, server } = await door(() => null);
    await using authority = await pebble({ httpPort: port });
    const acme = acmeAt(authority.directoryUrl, authority.ca);
    // On a busy machine a call may get no answer at all: that is said, and it is asked again a day later.
    for (let tries = 0; tries < 5 && (said.at(-1) ?? 'cannot be reached').includes('cannot be reached'); tries++) {
      nowMs += 24 * HOUR_MS;
      await acme.pairFor('app.cupola.dev');
      await acme.idle();
    }
    expect(said.at(-1)).toMatch(/no certificate for app\.cupola\.dev .*port 80 or 443 is the router's/);
    expect(await acme.pairFor('app.cupola.dev')).toBeNull();
    server.close();
  });
});
