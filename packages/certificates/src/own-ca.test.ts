import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createOwnCertificates } from './own.ts';
import { openOwnCa } from './own-ca.ts';

const DAY_MS = 86_400_000;
let folder: string;
let nowMs: number;
const now = (): number => nowMs;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cupola-ca-'));
  nowMs = Date.now();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function certificates(served: readonly string[]) {
  return createOwnCertificates({
    ca: openOwnCa({ folder, now }),
    domain: 'apps.example.com',
    isServed: host => served.includes(host),
    now,
  });
}

async function namesOf(serverName: string | null, served: readonly string[] = []): Promise<string | undefined> {
  const pair = await certificates(served).pairFor(serverName);
  return new X509Certificate(pair?.cert ?? '').subjectAltName;
}

test('openOwnCa() makes one CA for many handshakes at once, and keeps its key 0600', async () => {
  const ca = openOwnCa({ folder, now });
  const pairs = await Promise.all(['a.localhost', 'b.localhost', 'c.localhost'].map(name => ca.issue([name])));
  const authority = new X509Certificate(await ca.certificate());
  expect(authority.ca).toBe(true);
  expect(pairs.map(({ cert }) => new X509Certificate(cert).verify(authority.publicKey))).toEqual([true, true, true]);
  const modes = ['ca.key', 'leaves/a.localhost.pem'].map(name => statSync(join(folder, name)).mode & 0o777);
  expect(modes).toEqual([0o600, 0o600]);
});

test('issue() shows the kept leaf after a restart, and a new one in its last 30 days', async () => {
  const first = await openOwnCa({ folder, now }).issue(['a.localhost']);
  nowMs += 59 * DAY_MS;
  expect(await openOwnCa({ folder, now }).issue(['a.localhost'])).toEqual(first);
  nowMs += 2 * DAY_MS;
  const renewed = await openOwnCa({ folder, now }).issue(['a.localhost']);
  expect(renewed.cert).not.toBe(first.cert);
  expect(new X509Certificate(renewed.cert).validToDate.getTime() - nowMs).toBeGreaterThan(89 * DAY_MS);
});

test('issue() makes a new leaf when the CA is another one', async () => {
  const first = await openOwnCa({ folder, now }).issue(['a.localhost']);
  rmSync(join(folder, 'ca.pem'));
  const second = await openOwnCa({ folder, now }).issue(['a.localhost']);
  const authority = new X509Certificate(readFileSync(join(folder, 'ca.pem')));
  expect(new X509Certificate(first.cert).verify(authority.publicKey)).toBe(false);
  expect(new X509Certificate(second.cert).verify(authority.publicKey)).toBe(true);
});

test('issue() makes a new leaf when the kept file is damaged', async () => {
  const ca = openOwnCa({ folder, now });
  await ca.issue(['a.localhost']);
  writeFileSync(join(folder, 'leaves/a.localhost.pem'), 'half a fi');
  expect((await ca.issue(['a.localhost'])).cert).toContain('BEGIN CERTIFICATE');
});

test('pairFor() has one leaf for a domain and its sub-names', async () => {
  expect(await namesOf('shop.example.org', ['shop.example.org'])).toBe('DNS:*.example.org, DNS:example.org');
});

test('pairFor() has a leaf of its own for a name right below a top-level one', async () => {
  expect(await namesOf('app.localhost', ['app.localhost'])).toBe('DNS:app.localhost');
});

test('pairFor() signs nothing for a name that nobody serves: the platform has its own leaf for that', async () => {
  const own =
    'DNS:apps.example.com, DNS:*.apps.example.com, DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1';
  expect(await namesOf('www.bank.example')).toBe(own);
  expect(await namesOf(null)).toBe(own);
});

test('pairFor() gives the same object while the certificate is the same', async () => {
  const source = certificates([]);
  expect(await source.pairFor(null)).toBe(await source.pairFor('unknown.example'));
});
