/**
 * A certificate that the operator gave as two files, shown for the names that it is made for. Read again when a file has changed (certbot and others write
 * new ones in place); while what lies there cannot be used, the last good pair stays.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { Certificates, Pair } from './certificates.ts';

interface Options {
  certFile: string;
  keyFile: string;
  monotonic(): number;
  /** What lies there cannot be used, in words; told once for each change. */
  complain(text: string): void;
}

/** How often a handshake looks whether the files have changed. */
const LOOK_MS = 1_000;

/** Stamp of two files that are not there. */
const NEITHER = 'none none';

/** Throws an Error with words for the operator when the files cannot be used together. */
export function readPair({ certFile, keyFile }: { certFile: string; keyFile: string }): Pair {
  const pair = { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pair.cert);
  } catch (cause) {
    throw new Error(`${certFile} holds no certificate in PEM form. Give the full chain, the server's own first.`, {
      cause,
    });
  }
  try {
    if (certificate.checkPrivateKey(createPrivateKey(pair.key))) return pair;
  } catch (cause) {
    throw new Error(`${keyFile} holds no private key in PEM form without a passphrase.`, { cause });
  }
  throw new Error(`The key in ${keyFile} is not the one of the certificate in ${certFile}.`);
}

/** Answers for no name until the files can be used. */
export function createGivenCertificate({ certFile, keyFile, monotonic, complain }: Options): Certificates {
  let pair: Pair | null = null;
  let certificate: X509Certificate | null = null;
  let stamp = NEITHER;
  let lookedMs = Number.NEGATIVE_INFINITY;

  const look = (): void => {
    if (monotonic() - lookedMs < LOOK_MS) return;
    lookedMs = monotonic();
    const found = stampOf([certFile, keyFile]);
    if (found === stamp) return;
    stamp = found;
    // Nothing given, or taken back by removing both.
    if (found === NEITHER) {
      pair = null;
      return;
    }
    try {
      pair = readPair({ certFile, keyFile });
      certificate = new X509Certificate(pair.cert);
    } catch (error) {
      complain(error instanceof Error ? error.message : String(error));
    }
  };
  return {
    pairFor: async serverName => {
      look();
      if (pair === null || certificate === null) return null;
      return serverName === null || certificate.checkHost(serverName, { subject: 'never' }) !== undefined ? pair : null;
    },
  };
}

/** Changes whenever one of the files was written. */
function stampOf(files: readonly string[]): string {
  return files
    .map(file => {
      const stat = statSync(file, { throwIfNoEntry: false, bigint: true });
      return stat === undefined ? 'none' : `${stat.ino} ${stat.mtimeNs} ${stat.size}`;
    })
    .join(' ');
}
