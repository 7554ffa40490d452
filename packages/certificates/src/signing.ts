/** What the platform's authorities have in common: ECDSA keys on P-256, a self-signed certificate for ten years, and the library, loaded when it is needed. */
import { randomBytes, type webcrypto } from 'node:crypto';
import type { Pair } from './certificates.ts';

export const DAY_MS = 86_400_000;
const CA_DAYS = 3_650;
/** Clocks of clients may be behind ours. */
const BACKDATE_MS = 3_600_000;
export const CURVE = { name: 'ECDSA', namedCurve: 'P-256' } as const;
export const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256' } as const;

/** 127 random bits: positive, and never the same twice (CA/Browser Forum asks for 64). */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

/** The library needs metadata that decorators leave: loaded first, and both only here. */
export async function loadX509(): Promise<typeof import('@peculiar/x509')> {
  await import('reflect-metadata');
  return import('@peculiar/x509');
}

export async function newKeys(): Promise<{ keys: webcrypto.CryptoKeyPair; pem: string }> {
  const keys = await crypto.subtle.generateKey(CURVE, true, ['sign', 'verify']);
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey));
  const lines = der.toString('base64').replaceAll(/(.{64})(?!$)/g, '$1\n');
  return { keys, pem: `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n` };
}

export async function makeCa(nowMs: number): Promise<Pair> {
  const x509 = await loadX509();
  const { keys, pem } = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: `CN=Cupola CA ${randomBytes(4).toString('hex')}, O=Cupola`,
    notBefore: new Date(nowMs - BACKDATE_MS),
    notAfter: new Date(nowMs + CA_DAYS * DAY_MS),
    signingAlgorithm: SIGNATURE,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert: `${certificate.toString('pem').trimEnd()}\n`, key: pem };
}

/** The private key of `ca`, to sign with. */
function signingKey({ key }: Pair): Promise<webcrypto.CryptoKey> {
  const der = Buffer.from(key.replaceAll(/-----[A-Z ]+-----|\s/g, ''), 'base64');
  return crypto.subtle.importKey('pkcs8', der, CURVE, false, ['sign']);
}

/** PEM blocks of a text, in order. */
export function pemBlocks(text: string): Array<{ kind: string; text: string }> {
  return [...text.matchAll(/-----BEGIN ([A-Z ]+)-----[\s\S]+?-----END \1-----/g)].map(([block, kind = '']) => ({
    kind,
    text: `${block}\n`,
  }));
}

interface Leaf {
  /** Whose it is. */
  publicKey: webcrypto.CryptoKey;
  /** Names in the certificate: all that says who it is for. */
  names: ReadonlyArray<{ type: 'dns' | 'ip' | 'url'; value: string }>;
  /** It is shown by a client as well. */
  isClient: boolean;
  days: number;
  /** Epoch ms. */
  nowMs: number;
}

/** A certificate signed by `ca`, PEM. */
export async function signLeaf(ca: Pair, { publicKey, names, isClient, days, nowMs }: Leaf): Promise<string> {
  const x509 = await loadX509();
  const authority = new x509.X509Certificate(ca.cert);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    issuer: authority.subject,
    // The names stand in the extension; a common name holds 64 characters, and nobody reads it.
    subject: 'O=Cupola',
    notBefore: new Date(nowMs - BACKDATE_MS),
    notAfter: new Date(nowMs + days * DAY_MS),
    signingAlgorithm: SIGNATURE,
    publicKey,
    signingKey: await signingKey(ca),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.serverAuth,
        ...(isClient ? [x509.ExtendedKeyUsage.clientAuth] : []),
      ]),
      new x509.SubjectAlternativeNameExtension([...names]),
      await x509.AuthorityKeyIdentifierExtension.create(authority.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
  return `${certificate.toString('pem').trimEnd()}\n`;
}
