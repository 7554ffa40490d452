/**
 * Certificates of an ACME authority (Let's Encrypt and others), one for each served host. Proven by HTTP-01: the authority asks the host's port 80 for a
 * token, so the router answers those paths; where that fails by TLS-ALPN-01 (RFC 8737): it shakes hands at port 443 and wants to be shown a certificate made
 * for this one proof, so a machine needs only one of the two ports. What has worked for a host is tried first the next time. Nothing waits for an order: until its certificate is there, and while an order fails, the next source serves.
 *
 * Never asks for more than the authority allows: one order at a time, at most 40 in a week (a second try of the same is one), and after a failure of a host at first an hour's pause, then
 * two, four ... a day (Let's Encrypt: 50 certificates for a registered domain in a week, 5 failures of a name in an hour). What was asked is kept on disk.
 *
 * Leaves out: wildcards (they need DNS-01). The ACME library is loaded at the first order.
 */
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { join } from 'node:path';
import { sentence } from '@cupola/model/sentence';
import type { Certificates, Pair } from './certificates.ts';
import { writeWhole } from './write-whole.ts';

export interface Acme extends Certificates {
  /** The answer for a path below `/.well-known/acme-challenge/`, while an order is under way; null: none of ours. */
  answer(path: string): string | null;
  /** What a handshake for `acme-tls/1` with that host is shown, while an order is under way; null: none of ours. */
  proofFor(host: string): Pair | null;
  /** Resolves when no order is under way. */
  idle(): Promise<void>;
}

interface Options {
  /** Of the account key, the certificates and the ledger; made when it is not there. */
  folder: string;
  /** Of the authority: its directory. */
  directoryUrl: string;
  /** Where the authority writes to before something ends. */
  email: string;
  /** PEM of the CA of the authority's own address, where that is a private one. */
  ca?: string;
  isServed(host: string): boolean;
  /** Epoch ms. */
  now(): number;
  /** What happened, in words for the operator. */
  say(text: string): void;
}

const HOUR_MS = 3_600_000;
const WEEK_MS = 7 * 24 * HOUR_MS;
const ORDERS_MAX = 40;
const PAUSE_MAX_MS = 24 * HOUR_MS;
/** Hosts that wait for their order. */
const WAITING_MAX = 1_000;
/** The library's own repetitions of a call that got no answer: a second one after 1 s, a third after 2 s. */
const SETTINGS = {
  httpChallengePort: 80,
  httpsChallengePort: 443,
  tlsAlpnChallengePort: 443,
  retryMaxAttempts: 2,
  retryDefaultDelay: 1,
};
/** How the state of an order is looked at: after 0.25, 0.5, 1 ... 15 s, for two minutes. */
const POLLS = { backoffAttempts: 14, backoffMin: 250, backoffMax: 15_000 };
const PREFIX = '/.well-known/acme-challenge/';

/** In the order in which they are tried. */
const KINDS = ['http-01', 'tls-alpn-01'] as const;
type Kind = (typeof KINDS)[number];

/** What is shown to an authority while it looks. */
interface Proofs {
  /** Token to the answer that belongs to it. */
  answers: Map<string, string>;
  /** By host. */
  pairs: Map<string, Pair>;
}

/** What was asked of the authority. */
interface Ledger {
  /** Epoch ms of each order in the last week. */
  orders: number[];
  failures: Record<string, { atMs: number; count: number }>;
  /** How each host was proven the last time, where that was not the first way. */
  kinds: Record<string, Kind>;
}

export function createAcme(options: Options): Acme {
  const { folder, isServed, now, say } = options;
  const kept = new Map<string, Pair | null>();
  const waiting = new Set<string>();
  const proofs: Proofs = { answers: new Map(), pairs: new Map() };
  let working: Promise<void> | null = null;

  const pairOf = (host: string): Pair | null => {
    if (!kept.has(host)) kept.set(host, readPairOf(folder, host));
    return kept.get(host) ?? null;
  };
  const work = async (): Promise<void> => {
    for (const host of waiting) {
      const ledger = readLedger(folder, now());
      if (mayOrder(ledger, host, now())) {
        ledger.orders.push(now());
        writeLedger(folder, ledger);
        await orderEitherWay(options, host, ledger, proofs).then(
          pair => {
            kept.set(host, pair);
            delete ledger.failures[host];
            say(`a certificate for ${host} has come from the ACME authority`);
          },
          (error: unknown) => {
            const count = (ledger.failures[host]?.count ?? 0) + 1;
            ledger.failures[host] = { atMs: now(), count };
            say(`no certificate for ${host} from the ACME authority: ${explain(error, host)}`);
          },
        );
        writeLedger(folder, ledger);
      }
      waiting.delete(host);
    }
  };
  return {
    pairFor: async host => {
      if (host === null || !isPublicName(host)) return null;
      const pair = pairOf(host);
      const life = pair === null ? null : lifeOf(pair, now());
      if ((life === null || life.shareLeft < 1 / 3) && waiting.size < WAITING_MAX && isServed(host)) {
        waiting.add(host);
        working ??= work().finally(() => {
          working = null;
        });
      }
      return life !== null && life.shareLeft > 0 ? pair : null;
    },
    answer: path => (path.startsWith(PREFIX) ? (proofs.answers.get(path.slice(PREFIX.length)) ?? null) : null),
    proofFor: host => proofs.pairs.get(host) ?? null,
    idle: async () => {
      while (working !== null) await working;
    },
  };
}

/** A name that an authority could prove: below a top-level domain that is none of the special ones (RFC 6761). */
function isPublicName(host: string): boolean {
  return host.includes('.') && !/(?:^|\.)(?:localhost|local|internal|invalid|test|example)$/.test(host);
}

function mayOrder({ orders, failures }: Ledger, host: string, nowMs: number): boolean {
  const failed = failures[host];
  if (failed !== undefined && nowMs - failed.atMs < Math.min(HOUR_MS * 2 ** (failed.count - 1), PAUSE_MAX_MS))
    return false;
  return orders.length < ORDERS_MAX;
}

function lifeOf({ cert }: Pair, nowMs: number): { shareLeft: number } {
  const { validFromDate, validToDate } = new X509Certificate(cert);
  return { shareLeft: (validToDate.getTime() - nowMs) / (validToDate.getTime() - validFromDate.getTime()) };
}

/** By the way that has worked before, then by the other; what both say is told. Only a proof that fails is tried in another way. */
async function orderEitherWay(options: Options, host: string, ledger: Ledger, proofs: Proofs): Promise<Pair> {
  const first = ledger.kinds[host] ?? KINDS[0];
  const second = first === KINDS[0] ? KINDS[1] : KINDS[0];
  const failures: string[] = [];
  for (const kind of [first, second]) {
    try {
      const pair = await order(options, host, kind, proofs);
      if (kind === KINDS[0]) delete ledger.kinds[host];
      else ledger.kinds[host] = kind;
      return pair;
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      if (!isAboutProof(text)) throw error;
      failures.push(`${kind}: ${text}`);
    }
  }
  throw new Error(failures.join('; '));
}

async function order(
  { folder, directoryUrl, email, ca }: Options,
  host: string,
  kind: Kind,
  { answers, pairs }: Proofs,
): Promise<Pair> {
  const acme = await import('acme-client');
  if (ca !== undefined) acme.axios.defaults.httpsAgent = new Agent({ ca });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const accountFile = join(folder, 'account.key');
  if (!existsSync(accountFile)) writeWhole(accountFile, String(await acme.crypto.createPrivateEcdsaKey()), 0o600);
  // What still fails then is asked again by our own pauses, which are kept on disk.
  Object.assign(acme.axios.defaults, { acmeSettings: { ...SETTINGS } });
  const client = new acme.Client({ directoryUrl, accountKey: readFileSync(accountFile), ...POLLS });
  const [key, csr] = await acme.crypto.createCsr({ altNames: [host] }, await acme.crypto.createPrivateEcdsaKey());
  const cert = await client.auto({
    csr,
    email,
    termsOfServiceAgreed: true,
    challengePriority: [kind],
    // The authority is the judge: our own look at ourselves proves nothing from inside.
    skipChallengeVerification: true,
    challengeCreateFn: async (authorization, challenge, keyAuthorization) => {
      if (challenge.type === 'http-01') return void answers.set(challenge.token, keyAuthorization);
      const [proofKey, proof] = await acme.crypto.createAlpnCertificate(authorization, keyAuthorization);
      pairs.set(host, { cert: String(proof), key: String(proofKey) });
    },
    challengeRemoveFn: async (_authorization, challenge) => {
      answers.delete(challenge.token);
      pairs.delete(host);
    },
  });
  const pair = { cert, key: String(key) };
  writeWhole(join(folder, `${host}.key`), pair.key, 0o600);
  writeWhole(join(folder, `${host}.pem`), pair.cert, 0o600);
  return pair;
}

function readPairOf(folder: string, host: string): Pair | null {
  const [certFile, keyFile] = [join(folder, `${host}.pem`), join(folder, `${host}.key`)];
  if (!existsSync(certFile) || !existsSync(keyFile)) return null;
  const pair = { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
  try {
    return new X509Certificate(pair.cert).checkHost(host) === undefined ? null : pair;
  } catch {
    return null; // Damaged: ordered anew.
  }
}

function readLedger(folder: string, nowMs: number): Ledger {
  const file = join(folder, 'ledger.json');
  if (!existsSync(file)) return { orders: [], failures: {}, kinds: {} };
  const ledger = { kinds: {}, ...(JSON.parse(readFileSync(file, 'utf8')) as Omit<Ledger, 'kinds'>) };
  return { ...ledger, orders: ledger.orders.filter(atMs => nowMs - atMs < WEEK_MS) };
}

function writeLedger(folder: string, ledger: Ledger): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeWhole(join(folder, 'ledger.json'), JSON.stringify(ledger), 0o600);
}

/** What to do about it, for the failures that people have. */
function explain(error: unknown, host: string): string {
  const text = error instanceof Error ? error.message : String(error);
  if (/rateLimited|too many/i.test(text)) return `${sentence(text)} It is asked again later.`;
  // acme-client 5.4 fails so over a call that got no answer at all, and loses its cause.
  if (text.includes("reading 'config'")) return "the authority cannot be reached. Check this machine's network.";
  if (/ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|certificate/i.test(text))
    return `the authority cannot be reached (${text}). Check this machine's network.`;
  if (isAboutProof(text))
    return `it could not see this machine at http://${host}/ nor at https://${host}/ (${text}). Check that the name leads here and that port 80 or 443 is the router's.`;
  return text;
}

/** The authority was there, and could not be shown what it asked for. */
function isAboutProof(text: string): boolean {
  return (
    !/rateLimited|too many|reading 'config'|ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ETIMEDOUT/i.test(text) &&
    /unauthorized|acme-challenge|connection|timeout|dns|invalid|tls/i.test(text)
  );
}
