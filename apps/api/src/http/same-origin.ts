/**
 * Whether a browser says that our own page asks. Apps live below the same domain, so to a browser they are the same *site*: SameSite cookies do not keep
 * them out, but the origin does. No page can choose `Origin`, `Host` or `Sec-Fetch-Site`.
 */
import type { IncomingHttpHeaders } from 'node:http';

export function isSameOrigin({ origin, host, 'sec-fetch-site': site }: IncomingHttpHeaders): boolean {
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return false;
  if (origin === undefined) return true; // No browser that changes something leaves it out.
  return URL.canParse(origin) && new URL(origin).host === withoutUsualPort(origin, host ?? '');
}

/** A URL's host leaves out the port that its scheme implies; the Host header may name it. */
function withoutUsualPort(origin: string, host: string): string {
  const url = `${origin.startsWith('https:') ? 'https' : 'http'}://${host}`;
  return URL.canParse(url) ? new URL(url).host : host;
}
