import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Certificates, firstOf, type Pair } from './certificates.ts';
import { createGivenCertificate, readPair } from './given.ts';
import { openOwnCa } from './own-ca.ts';

let folder: string;
let certFile: string;
let keyFile: string;
let monotonicMs: number;
let complaints: string[];
let source: Certificates;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cupola-given-'));
  certFile = join(folder, 'given.pem');
  keyFile = join(folder, 'given.key');
  monotonicMs = 0;
  complaints = [];
  const monotonic = (): number => {
    monotonicMs += 2_000;
    return monotonicMs;
  };
  source = createGivenCertificate({ certFile, keyFile, monotonic, complain: text => complaints.push(text) });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function aPair(name: string): Promise<Pair> {
  return openOwnCa({ folder: join(folder, name), now: Date.now }).issue([name, `*.${name}`]);
}

function give({ cert, key }: Pair): void {
  for (const [file, text] of [
    [certFile, cert],
    [keyFile, key],
  ] as const) {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  }
}

test('pairFor() answers for the names of the given certificate, and for clients that name none', async () => {
  const given = await aPair('example.com');
  give(given);
  expect(await source.pairFor('app.example.com')).toEqual(given);
  expect(await source.pairFor(null)).toEqual(given);
  expect(await source.pairFor('app.example.org')).toBeNull();
});

test('pairFor() shows a new certificate once the files have changed', async () => {
  give(await aPair('example.com'));
  await source.pairFor('example.com');
  const second = await aPair('example.org');
  give(second);
  expect(await source.pairFor('example.org')).toEqual(second);
  expect(await source.pairFor('example.com')).toBeNull();
});

test('pairFor() goes on with the last good certificate while the files do not fit, and says so once', async () => {
  const good = await aPair('example.com');
  give(good);
  await source.pairFor('example.com');
  give({ cert: good.cert, key: (await aPair('example.org')).key });
  expect(await source.pairFor('example.com')).toEqual(good);
  await source.pairFor('example.com');
  expect(complaints).toEqual([`The key in ${keyFile} is not the one of the certificate in ${certFile}.`]);
});

test('pairFor() has none, and no complaint, where nothing was given or it was taken back', async () => {
  expect(await source.pairFor('example.com')).toBeNull();
  give(await aPair('example.com'));
  await source.pairFor('example.com');
  rmSync(certFile);
  rmSync(keyFile);
  expect(await source.pairFor('example.com')).toBeNull();
  expect(complaints).toEqual([]);
});

test('readPair() says which file is not what it should be', async () => {
  const { cert, key } = await aPair('example.com');
  give({ cert: 'hello', key });
  expect(() => readPair({ certFile, keyFile })).toThrow(/given\.pem holds no certificate in PEM form/);
  give({ cert, key: 'hello' });
  expect(() => readPair({ certFile, keyFile })).toThrow(/given\.key holds no private key in PEM form/);
});

test('firstOf() asks the next source where the one before has no certificate', async () => {
  const pair = await aPair('example.com');
  const sources = firstOf([source, { pairFor: async name => (name === 'example.com' ? pair : null) }]);
  expect(await sources.pairFor('example.com')).toBe(pair);
  expect(await sources.pairFor('other')).toBeNull();
});
