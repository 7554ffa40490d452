/** Routes as their parts, and how they are secured. Pure. */
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

/** How requests to this route may be encrypted: in words, and where. */
export function securityOf(
  { url, isInternal }: { url: string; isInternal: boolean },
  { apps_scheme, https }: Pick<Session['platform'], 'apps_scheme' | 'https'>,
): { text: string; link: string | null } {
  if (isInternal) return { text: 'between apps only', link: null };
  if (apps_scheme === 'https') return { text: 'HTTPS', link: null };
  if (https === null) return { text: 'HTTP', link: null };
  const host = url.replace(/:\d+(?=\/|$)/, '');
  const [name = '', ...path] = host.split('/');
  const link = `https://${name}${https.port === null ? '' : `:${https.port}`}${path.length === 0 ? '' : `/${path.join('/')}`}`;
  const text = {
    own: 'HTTPS too, by a certificate of this platform’s own authority',
    given: 'HTTPS too, by the certificate that the operator gave',
    acme: 'HTTPS too, by a certificate of a public authority',
  }[https.certificates];
  return { text, link };
}
