/**
 * A member's key, certificate and authority in one file of its own (0600), replaced whole when it is renewed. Several processes of a machine may read it:
 * each looks again when the file has changed.
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { pemBlocks } from '../signing.ts';
import { writeWhole } from '../write-whole.ts';
import { type Member, membersIn } from './names.ts';

/** PEM texts. */
export interface Identity {
  readonly key: string;
  /** The leaf first. */
  readonly cert: string;
  /** Whom it trusts: the cluster's authority. */
  readonly ca: string;
}

export interface IdentitySource {
  /** The newest: the same object as long as it is the same. */
  current(): Identity;
}

/** @param chain a certificate and its authority's, as `signRequest` gives it. */
export function identityOf(key: string, chain: string): Identity {
  const certificates = pemBlocks(chain).map(({ text }) => text);
  const [cert, ca] = [certificates[0], certificates.at(-1)];
  if (cert === undefined || ca === undefined || certificates.length < 2)
    throw new Error('an identity needs its certificate and the authority that signed it');
  return { key, cert, ca };
}

export function writeIdentity(file: string, { key, cert, ca }: Identity): void {
  writeWhole(file, `${key}${cert}${ca}`, 0o600);
}

/** Of that file, looked at again whenever it is asked for. @throws when it is not there, or is no identity. */
export function identityFrom(file: string): IdentitySource {
  let seen = '';
  let known: Identity | null = null;
  return {
    current: () => {
      const { mtimeNs, ino } = statSync(file, { bigint: true });
      const version = `${ino} ${mtimeNs}`;
      if (known !== null && version === seen) return known;
      known = parseIdentity(readFileSync(file, 'utf8'), file);
      seen = version;
      return known;
    },
  };
}

function parseIdentity(text: string, file: string): Identity {
  const blocks = pemBlocks(text);
  const key = blocks.find(({ kind }) => kind === 'PRIVATE KEY')?.text;
  const chain = blocks.filter(({ kind }) => kind === 'CERTIFICATE').map(block => block.text);
  if (key === undefined || chain.length < 2) throw new Error(`${file} holds no identity: join the cluster again`);
  return identityOf(key, chain.join('\n'));
}

/** As whom it is known. */
export function membersOf({ cert }: Pick<Identity, 'cert'>): Member[] {
  return membersIn(new X509Certificate(cert).subjectAltName);
}

/** Whether a third of its life is over: time to ask for the next one, with weeks left to do so. */
export function isDue({ cert }: Pick<Identity, 'cert'>, nowMs: number): boolean {
  const { validFromDate, validToDate } = new X509Certificate(cert);
  return nowMs > validFromDate.getTime() + (validToDate.getTime() - validFromDate.getTime()) / 3;
}
