/** SSH's public keys and signatures (RFC 4253, 4252, 5656, 8332, 8709), read and checked by Node's own cryptography. */
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';

export interface PublicKey {
  readonly algorithm: string;
  /** The wire form, base64: what a client sends. */
  readonly wire: string;
  /** As `ssh-keygen -l` shows it. */
  readonly fingerprint: string;
}

const RSA_BITS_MIN = 2_048;
const CURVES: Record<string, { jwk: string; bytes: number; hash: string }> = {
  nistp256: { jwk: 'P-256', bytes: 32, hash: 'sha256' },
  nistp384: { jwk: 'P-384', bytes: 48, hash: 'sha384' },
  nistp521: { jwk: 'P-521', bytes: 66, hash: 'sha512' },
};

/** A line of `id_ed25519.pub`. Null: it is none that we take: too weak, of another kind, damaged, or a private one. */
export function readPublicKey(line: string): PublicKey | null {
  const [algorithm = '', wire = ''] = line.trim().split(/\s+/);
  const data = Buffer.from(wire, 'base64');
  return data.length === 0 || keyOf(data) === null || readString(data, 0)?.value.toString() !== algorithm
    ? null
    : { algorithm, wire: data.toString('base64'), fingerprint: fingerprintOf(data) };
}

export function fingerprintOf(wire: Buffer): string {
  return `SHA256:${createHash('sha256').update(wire).digest('base64').replace(/=+$/, '')}`;
}

interface Field {
  value: Buffer;
  next: number;
}

/** Null: there is not so much. */
function readString(data: Buffer, at: number): Field | null {
  if (at + 4 > data.length) return null;
  const next = at + 4 + data.readUInt32BE(at);
  return next > data.length ? null : { value: data.subarray(at + 4, next), next };
}

/** All of them, to the end. Null: damaged. */
function readStrings(data: Buffer): Buffer[] | null {
  const found: Buffer[] = [];
  for (let at = 0; at < data.length; ) {
    const field = readString(data, at);
    if (field === null) return null;
    found.push(field.value);
    at = field.next;
  }
  return found;
}

const url = (bytes: Buffer): string => bytes.toString('base64url');
const withoutSign = (number: Buffer): Buffer => (number[0] === 0 ? number.subarray(1) : number);

function keyOf(wire: Buffer): { algorithm: string; key: KeyObject; hash: string | null } | null {
  const [name, ...fields] = readStrings(wire) ?? [];
  const algorithm = name?.toString() ?? '';
  try {
    if (algorithm === 'ssh-ed25519' && fields.length === 1 && fields[0]?.length === 32) {
      const key = createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x: url(fields[0]) } });
      return { algorithm, key, hash: null };
    }
    const [exponent, modulus] = fields;
    if (algorithm === 'ssh-rsa' && exponent !== undefined && modulus !== undefined && fields.length === 2) {
      if (withoutSign(modulus).length * 8 < RSA_BITS_MIN) return null;
      const jwk = { kty: 'RSA', e: url(withoutSign(exponent)), n: url(withoutSign(modulus)) };
      return { algorithm, key: createPublicKey({ format: 'jwk', key: jwk }), hash: null };
    }
    const [curveName, point] = fields;
    const curve = CURVES[curveName?.toString() ?? ''];
    if (curve === undefined || point === undefined || algorithm !== `ecdsa-sha2-${curveName}` || fields.length !== 2)
      return null;
    if (point[0] !== 4 || point.length !== 1 + 2 * curve.bytes) return null;
    const jwk = {
      ...{ kty: 'EC', crv: curve.jwk },
      ...{ x: url(point.subarray(1, 1 + curve.bytes)), y: url(point.subarray(1 + curve.bytes)) },
    };
    return { algorithm, key: createPublicKey({ format: 'jwk', key: jwk }), hash: curve.hash };
  } catch {
    return null; // No point of its curve, or no number that could be a modulus.
  }
}

export interface Proof {
  /** What the client has signed: its request to log in, behind the session's id. */
  readonly signed: Buffer;
  /** For ECDSA and RSA as ASN.1 and as it is. */
  readonly signature: Buffer;
  /** Of RSA, which is used with either. */
  readonly hash: 'sha256' | 'sha512' | null;
}

const USERAUTH_REQUEST = 50;

/** Whether whoever holds the private part has asked, by that signature, to log in to an SSH session. */
export function isProven(wire: Buffer, { signed, signature, hash }: Proof): boolean {
  const known = keyOf(wire);
  if (known === null || !isLoginRequest(signed, wire)) return false;
  if (known.algorithm === 'ssh-rsa' && hash === null) return false; // SHA-1.
  try {
    return verify(known.algorithm === 'ssh-rsa' ? hash : known.hash, signed, known.key, signature);
  } catch {
    return false; // No signature at all.
  }
}

/** `string session, byte 50, string user, string "ssh-connection", string "publickey", boolean true, string algorithm, string key` (RFC 4252, 7). */
function isLoginRequest(signed: Buffer, wire: Buffer): boolean {
  const session = readString(signed, 0);
  if (session === null || session.value.length < 20 || signed[session.next] !== USERAUTH_REQUEST) return false;
  const user = readString(signed, session.next + 1);
  const service = user === null ? null : readString(signed, user.next);
  const method = service === null ? null : readString(signed, service.next);
  if (method === null || signed[method.next] !== 1) return false;
  const algorithm = readString(signed, method.next + 1);
  const key = algorithm === null ? null : readString(signed, algorithm.next);
  return (
    service?.value.toString() === 'ssh-connection' &&
    method.value.toString() === 'publickey' &&
    key !== null &&
    key.next === signed.length &&
    key.value.equals(wire)
  );
}
