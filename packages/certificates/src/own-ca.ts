/**
 * The platform's own certificate authority: an ECDSA key and a self-signed certificate in `folder`, made at first use, and leaves signed by it in
 * `folder/leaves`. Who trusts `ca.pem` trusts whoever holds `ca.key`: it is 0600, in a folder of the platform's own user, and nothing sends it anywhere.
 *
 * The signing library is loaded only when something must be signed. Leaves are kept: a router that starts again shows the same ones.
 */
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import type { Pair } from './certificates.ts';
import { DAY_MS, makeCa, newKeys, pemBlocks, signLeaf } from './signing.ts';
import { writeWhole } from './write-whole.ts';

export interface OwnCa {
  /** PEM of the CA's certificate, made now if there is none yet. */
  certificate(): Promise<string>;
  /** A certificate for these host names, wildcards and addresses; a kept one while it has long enough to live. The first name names its file. */
  issue(names: readonly string[]): Promise<Pair>;
}

interface Options {
  /** Made when it is not there. */
  folder: string;
  /** Epoch ms. */
  now(): number;
}

/** Short enough that every client takes it (browsers: at most 398 days of public ones), long enough that a machine switched off for a month is no problem. */
const LEAF_DAYS = 90;
/** A leaf with less than this left is made anew. */
const RENEW_DAYS = 30;

export function openOwnCa({ folder, now }: Options): OwnCa {
  const caFile = join(folder, 'ca.pem');
  const keyFile = join(folder, 'ca.key');
  /** One at a time, so that two handshakes at once do not make two CAs. */
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(act: () => Promise<T>): Promise<T> => {
    const turn = last.then(act, act);
    last = turn.catch(() => undefined); // Its caller hears of it.
    return turn;
  };
  const ensure = async (): Promise<Pair> => {
    if (existsSync(caFile) && existsSync(keyFile))
      return { cert: readFileSync(caFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
    const made = await makeCa(now());
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeWhole(keyFile, made.key, 0o600);
    writeWhole(caFile, made.cert, 0o644);
    return made;
  };
  const issue = async (names: readonly string[]): Promise<Pair> => {
    const ca = await ensure();
    const file = join(folder, 'leaves', `${fileName(names)}.pem`);
    const kept = readLeaf(file);
    if (kept !== null && stillGood(kept, { ca: ca.cert, names, nowMs: now() })) return kept;
    const made = await makeLeaf(ca, names, now());
    mkdirSync(join(folder, 'leaves'), { recursive: true, mode: 0o700 });
    writeWhole(file, `${made.key}${made.cert}`, 0o600);
    return made;
  };
  return {
    certificate: () => inTurn(async () => (await ensure()).cert),
    issue: names => inTurn(() => issue(names)),
  };
}

/** Whether a leaf may be shown for longer than a renewal takes. */
export function leafIsFresh(pair: Pair, nowMs: number): boolean {
  return new X509Certificate(pair.cert).validToDate.getTime() - nowMs > RENEW_DAYS * DAY_MS;
}

function stillGood(pair: Pair, { ca, names, nowMs }: { ca: string; names: readonly string[]; nowMs: number }): boolean {
  const certificate = new X509Certificate(pair.cert);
  return (
    leafIsFresh(pair, nowMs) &&
    certificate.verify(new X509Certificate(ca).publicKey) &&
    names.every(name => isIP(name) !== 0 || certificate.subjectAltName?.split(', ').includes(`DNS:${name}`))
  );
}

function fileName([first = 'default']: readonly string[]): string {
  return first.replaceAll('*', '_').replaceAll(/[^\w.-]/g, '-');
}

function readLeaf(file: string): Pair | null {
  if (!existsSync(file)) return null;
  const blocks = pemBlocks(readFileSync(file, 'utf8'));
  const key = blocks.find(({ kind }) => kind === 'PRIVATE KEY')?.text;
  const cert = blocks.filter(({ kind }) => kind === 'CERTIFICATE').map(({ text }) => text);
  return key === undefined || cert.length === 0 ? null : { key, cert: cert.join('') };
}

async function makeLeaf(ca: Pair, names: readonly string[], nowMs: number): Promise<Pair> {
  const { keys, pem } = await newKeys();
  const cert = await signLeaf(ca, {
    publicKey: keys.publicKey,
    names: names.map(value => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value })),
    isClient: false,
    days: LEAF_DAYS,
    nowMs,
  });
  return { cert, key: pem };
}
