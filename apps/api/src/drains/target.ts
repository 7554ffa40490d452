/**
 * Where a drain's URL leads, and whether log lines may go there. Tenants give these URLs, and the platform's own process dials them: so the name is resolved
 * here, addresses that are not public are refused unless the operator allows them, and what was checked is what is dialled (threats.md 9: DNS rebinding).
 */
import { lookup } from 'node:dns/promises';
import { BlockList, isIPv6 } from 'node:net';

interface Place {
  /** Name or address as the URL has it: for the certificate, and for people. */
  host: string;
  port: number;
}
interface SyslogTarget extends Place {
  kind: 'tcp' | 'tls' | 'udp';
}
export interface HttpTarget extends Place {
  /** A request for each message, or for many. */
  kind: 'https' | 'https-batch';
  /** With the query: receivers have their tokens there. */
  path: string;
  /** Of the header; null where the URL names no user. */
  authorization: string | null;
}
export type Target = SyslogTarget | HttpTarget;

/** As CF: `syslog://` is TCP. UDP, which CF has not, has a name of its own. */
const KINDS: Record<string, { kind: SyslogTarget['kind']; port: number }> = {
  'syslog:': { kind: 'tcp', port: 514 },
  'syslog-tls:': { kind: 'tls', port: 6514 },
  'syslog-udp:': { kind: 'udp', port: 514 },
};
const HTTP_KINDS: Record<string, HttpTarget['kind']> = { 'https:': 'https', 'https-batch:': 'https-batch' };

/** Null for what cannot be a drain: another scheme, no host. */
export function parseTarget(url: string): Target | null {
  const parsed = URL.parse(url);
  const host = (parsed?.hostname ?? '').replaceAll(/^\[|\]$/g, '');
  if (parsed === null || host === '') return null;
  const http = HTTP_KINDS[parsed.protocol];
  if (http !== undefined) return { kind: http, host, port: Number(parsed.port) || 443, ...httpParts(parsed) };
  const known = KINDS[parsed.protocol];
  return known === undefined ? null : { kind: known.kind, host, port: Number(parsed.port) || known.port };
}

function httpParts({ pathname, search, username, password }: URL): Pick<HttpTarget, 'path' | 'authorization'> {
  const user = `${decoded(username)}:${decoded(password)}`;
  return {
    path: `${pathname || '/'}${search}`,
    authorization: user === ':' ? null : `Basic ${Buffer.from(user, 'utf8').toString('base64')}`,
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // A percent sign that stands for itself.
  }
}

/** Networks that are not the public internet (IANA special-purpose registries), the cloud's metadata addresses among them. */
const PRIVATE = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
  ['::', 96],
  ['64:ff9b::', 32],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 9],
  ['ff00::', 8],
] as const;

/** Addresses and networks (`10.0.0.0/8`) as a list to check against. */
export function networks(list: readonly string[]): BlockList {
  const networks = new BlockList();
  for (const entry of list) {
    const [address = '', bits] = entry.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    if (bits === undefined) networks.addAddress(address, family);
    else networks.addSubnet(address, Number(bits), family);
  }
  return networks;
}

const NOT_PUBLIC = networks(PRIVATE.map(([address, bits]) => `${address}/${bits}`));

/** Whether log lines may go to that address. IPv4 in IPv6 clothes is judged as IPv4. */
export function mayReach(address: string, allowed: BlockList): boolean {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1] ?? address;
  const family = isIPv6(mapped) ? 'ipv6' : 'ipv4';
  return allowed.check(mapped, family) || !NOT_PUBLIC.check(mapped, family);
}

/** The address to dial. Throws with words for the app's log when the name leads nowhere, or nowhere that is allowed. */
export async function resolveTarget({ host }: Pick<Target, 'host'>, allowed: BlockList): Promise<string> {
  const found = await lookup(host, { all: true }).catch(() => {
    throw new Error(`its host ${host} cannot be resolved`);
  });
  const address = found.find(entry => mayReach(entry.address, allowed))?.address;
  if (address === undefined)
    throw new Error(
      `its host ${host} has no public address; the operator can allow private ones (CUPOLA_DRAIN_TARGETS)`,
    );
  return address;
}
