/** Routes as their parts, and how they are secured. Pure. */
import type { Certificates } from '../data/queries.ts';
import type { Domain, Route, Session } from '../data/read.ts';

/** Of a host as CF takes it; `*` is for whole domains. */
const HOST = /^(?:[\w-]{1,63}|\*)?$/;
const PATH = /^(?:\/?[^\s?#/][^\s?#]{0,126})?$/;

export interface TypedRoute {
  host: string;
  path: string;
}

/** Why it cannot be one; null: it can. */
export function whyNoRoute({ host, path }: TypedRoute): string | null {
  if (!HOST.test(host)) return 'A host has letters, digits, "-" and "_" only.';
  return PATH.test(path) ? null : 'A path has no spaces, "?" or "#".';
}

/** With its slash; empty stays empty. */
export const withSlash = (path: string): string => (path === '' || path.startsWith('/') ? path : `/${path}`);

export function nameOf(route: Route, domains: readonly Domain[]): { domain: string; host: string; path: string } {
  const domain = domains.find(({ guid }) => guid === route.relationships?.domain?.data?.guid);
  return { domain: domain?.name ?? '', host: route.host ?? '', path: route.path ?? '' };
}

/** A certificate that nobody has renewed by then will hardly be (ACME: at a third of 90 days; our own: 30 days before). */
const SOON_MS = 14 * 86_400_000;

interface Facts {
  platform: Pick<Session['platform'], 'apps_scheme' | 'https'>;
  /** Undefined while they are looked at. */
  certificates: Certificates | undefined;
  /** Epoch ms. */
  now: number;
}
interface Security {
  text: string;
  /** Where it is encrypted, if that is not the address itself. */
  link: string | null;
  tone: 'bad' | 'moving' | null;
}

/** Whether what is shown stays so: a router may not know a route yet, or start again, and what was ordered comes in seconds. */
export function isSettled({ platform, certificates }: Omit<Facts, 'now'>): boolean {
  if (certificates === undefined) return false;
  const isOrdered = platform.https?.certificates === 'acme';
  return [...certificates.byHost].every(
    ([host, certificate]) =>
      host.startsWith('*') || (certificate?.fits === true && !(isOrdered && certificate.signed_by === 'own')),
  );
}

/** How requests to this route are encrypted: in words, by whose certificate and until when, and where. */
export function securityOf({ url, isInternal }: { url: string; isInternal: boolean }, facts: Facts): Security {
  const { apps_scheme, https } = facts.platform;
  if (isInternal) return { text: 'between apps only', link: null, tone: null };
  if (https === null)
    return apps_scheme === 'https'
      ? { text: 'HTTPS, by a certificate of what stands before the routers', link: null, tone: null }
      : { text: 'HTTP only', link: null, tone: null };
  const [host = '', ...path] = url.replace(/:\d+(?=\/|$)/, '').split('/');
  const place = `https://${host}${https.port === null ? '' : `:${https.port}`}`;
  return {
    ...certified(host, facts),
    link: apps_scheme === 'https' ? null : [place, ...path].join('/'),
  };
}

function certified(host: string, { platform, certificates, now }: Facts): Pick<Security, 'text' | 'tone'> {
  const certificate = certificates?.byHost.get(host);
  if (certificate === undefined) return { text: 'HTTPS too', tone: null };
  if (certificate === null)
    return host.startsWith('*')
      ? { text: 'HTTPS too, by a certificate for each host', tone: null }
      : { text: 'HTTPS too; its certificate cannot be looked at just now', tone: 'moving' };
  const { signed_by, issuer, valid_until, fits } = certificate;
  const until = Date.parse(valid_until);
  const day = new Date(until).toLocaleDateString(undefined, { dateStyle: 'medium' });
  const by = signed_by === 'own' ? 'this platform\u2019s own authority' : issuer;
  if (until <= now) return { text: `HTTPS fails: the certificate by ${by} ran out on ${day}`, tone: 'bad' };
  if (!fits) return { text: `HTTPS fails: the certificate by ${by} is made for other names`, tone: 'bad' };
  const isWaiting = signed_by === 'own' && platform.https?.certificates === 'acme';
  const text = `HTTPS too, by ${by} until ${day}${isWaiting ? '; the public authority has given none yet' : ''}`;
  return { text, tone: isWaiting || until - now < SOON_MS ? 'moving' : null };
}
