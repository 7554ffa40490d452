import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { isProven, readPublicKey } from './public-key.ts';

const field = (value: Buffer | string): Buffer => {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
};
/** A number that is never taken for a negative one. */
const number = (value: string): Buffer => field(Buffer.concat([Buffer.from([0]), Buffer.from(value, 'base64url')]));
const part = (value: string | undefined): Buffer => Buffer.from(value ?? '', 'base64url');

interface Pair {
  algorithm: string;
  wire: Buffer;
  key: KeyObject;
  hash: 'sha256' | null;
}

function ed25519(): Pair {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const wire = Buffer.concat([field('ssh-ed25519'), field(part(publicKey.export({ format: 'jwk' }).x as string))]);
  return { algorithm: 'ssh-ed25519', wire, key: privateKey, hash: null };
}
function rsa(bits: number): Pair {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: bits });
  const { e, n } = publicKey.export({ format: 'jwk' }) as { e: string; n: string };
  return {
    algorithm: 'ssh-rsa',
    wire: Buffer.concat([field('ssh-rsa'), number(e), number(n)]),
    key: privateKey,
    hash: 'sha256',
  };
}
function ecdsa(): Pair {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { x, y } = publicKey.export({ format: 'jwk' }) as { x: string; y: string };
  const point = Buffer.concat([Buffer.from([4]), part(x), part(y)]);
  const algorithm = 'ecdsa-sha2-nistp256';
  return {
    algorithm,
    wire: Buffer.concat([field(algorithm), field('nistp256'), field(point)]),
    key: privateKey,
    hash: null,
  };
}

const request = ({ algorithm, wire }: Pair, { service = 'ssh-connection', last = Buffer.alloc(0) } = {}): Buffer =>
  Buffer.concat([
    ...[field(Buffer.alloc(32, 7)), Buffer.from([50]), field('git'), field(service), field('publickey')],
    ...[Buffer.from([1]), field(algorithm), field(wire), last],
  ]);
const signed = ({ key, hash, algorithm }: Pair, what: Buffer): Buffer =>
  sign(algorithm.startsWith('ecdsa') ? 'sha256' : hash, what, key);

describe.each([
  ['ed25519', ed25519()],
  ['RSA', rsa(2_048)],
  ['ECDSA', ecdsa()],
])('%s', (_, pair) => {
  test('readPublicKey() takes the line that ssh-keygen writes', () => {
    const read = readPublicKey(`${pair.algorithm} ${pair.wire.toString('base64')} ada@example.com\n`);
    expect(read).toMatchObject({ algorithm: pair.algorithm, wire: pair.wire.toString('base64') });
    expect(read?.fingerprint).toMatch(/^SHA256:[A-Za-z0-9+/]{43}$/);
  });
  test('isProven() takes a request to log in that was signed by its private part, and no other', () => {
    const what = request(pair);
    const proof = { signed: what, signature: signed(pair, what), hash: pair.hash };
    expect(isProven(pair.wire, proof)).toBe(true);
    expect(isProven(pair.wire, { ...proof, signature: Buffer.alloc(64) })).toBe(false);
    expect(isProven(ed25519().wire, proof)).toBe(false);
  });
  test('isProven() takes nothing else that was signed: no other service, nothing behind it, no text', () => {
    for (const what of [
      request(pair, { service: 'ssh-userauth' }),
      request(pair, { last: Buffer.from('x') }),
      Buffer.from('SSHSIG a commit of git'),
      Buffer.alloc(0),
    ])
      expect(isProven(pair.wire, { signed: what, signature: signed(pair, what), hash: pair.hash })).toBe(false);
  });
});

test('readPublicKey() takes no weak, unknown, damaged or private key', () => {
  const weak = rsa(1_024);
  const good = ed25519();
  const base64 = good.wire.toString('base64');
  for (const line of [
    `ssh-rsa ${weak.wire.toString('base64')}`,
    `ssh-dss ${base64}`,
    `ssh-rsa ${base64}`,
    `ssh-ed25519 ${base64.slice(0, 20)}`,
    '-----BEGIN OPENSSH PRIVATE KEY-----',
    '',
  ])
    expect(readPublicKey(line)).toBeNull();
});

test('isProven() takes no RSA signature of unknown or old hash', () => {
  const pair = rsa(2_048);
  const what = request(pair);
  expect(isProven(pair.wire, { signed: what, signature: sign('sha1', what, pair.key), hash: null })).toBe(false);
});
