/**
 * For which names the own CA answers, and with which leaf: one leaf for a domain and all its sub-names, so that a thousand apps need one; a leaf of its own
 * for a name right below a top-level one (`app.localhost`), since clients take no wildcard there. A name that nobody here serves gets the platform's own
 * leaf: strangers cannot make us sign.
 */
import type { Certificates, Pair } from './certificates.ts';
import { leafIsFresh, type OwnCa } from './own-ca.ts';

interface Options {
  ca: OwnCa;
  /** The platform's domain: its leaf is shown where no name is given, or an unknown one. */
  domain: string;
  /** Whether a route or the platform itself has that host. */
  isServed(host: string): boolean;
  /** Epoch ms. */
  now(): number;
}

/** Leaves kept in memory; the others are read from disk again. A context is some 100 KB. */
const LEAVES_MAX = 500;
const LOOPBACK = ['localhost', '127.0.0.1', '::1'];

export function createOwnCertificates({ ca, domain, isServed, now }: Options): Certificates {
  const kept = new Map<string, Pair>();
  const leaf = async (names: readonly string[]): Promise<Pair> => {
    const key = names[0] ?? '';
    const known = kept.get(key);
    if (known !== undefined && leafIsFresh(known, now())) return known;
    const pair = await ca.issue(names);
    const first = kept.keys().next();
    if (kept.size >= LEAVES_MAX && first.done !== true) kept.delete(first.value);
    kept.set(key, pair);
    return pair;
  };
  return {
    pairFor: serverName =>
      leaf(serverName === null || !isServed(serverName) ? ownNames(domain) : leafNames(serverName)),
  };
}

function ownNames(domain: string): string[] {
  return [domain, ...(domain.includes('.') ? [`*.${domain}`] : []), ...LOOPBACK.filter(name => name !== domain)];
}

function leafNames(host: string): string[] {
  const parent = host.slice(host.indexOf('.') + 1);
  return parent.includes('.') ? [`*.${parent}`, parent] : [host];
}
