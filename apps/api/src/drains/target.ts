/**
 * Where a drain's URL leads, and whether log lines may go there. Tenants give these URLs, and the platform's own process dials them: so the name is resolved
 * here, addresses that are not public are refused unless the operator allows them, and what was checked is what is dialled (threats.md 9: DNS rebinding).
 */
import { lookup } from 'node:dns/promises';
import type { BlockList } from 'node:net';
import { mayReach } from '@cupola/images/registry/addresses';

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
