/**
 * The dashboard's cookies. `__Host-` (only with Secure, only for this host) wherever a browser keeps such a cookie: over HTTPS, and over plain HTTP on the
 * machine itself (`localhost`, `127.0.0.1`; Chromium and Firefox do, Safari does not). Over plain HTTP a sign-in sets its own cookie under both names, and
 * the name that comes back is the one for the session. Browsers do not tell ports apart: the name does, so that two platforms on one machine do not sign
 * each other out.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { TOKEN_LIMITS } from '@cupola/model/limits';

export type Kind = 'session' | 'sign-in';
export type Strength = 'strict' | 'plain';

export interface Asked {
  headers: IncomingHttpHeaders;
  isHttps: boolean;
}

const SECONDS: Record<Kind, number> = { session: TOKEN_LIMITS.refreshSeconds, 'sign-in': TOKEN_LIMITS.signInSeconds };

function nameOf(kind: Kind, strength: Strength, { headers, isHttps }: Asked): string {
  const port = /:(\d{1,5})$/.exec(headers.host ?? '')?.[1] ?? (isHttps ? '443' : '80');
  return `${strength === 'strict' ? '__Host-' : ''}cupola-${kind}-${port}`;
}

/** The cookie of this kind, and under which of its names it came. A plain one never counts over HTTPS. */
export function readCookie(kind: Kind, asked: Asked): { value: string; strength: Strength } | null {
  const cookies = new Map(
    (asked.headers.cookie ?? '').split(';').map(pair => {
      const at = pair.indexOf('=');
      return [pair.slice(0, at).trim(), pair.slice(at + 1).trim()] as const;
    }),
  );
  for (const strength of asked.isHttps ? (['strict'] as const) : (['strict', 'plain'] as const)) {
    const value = cookies.get(nameOf(kind, strength, asked));
    if (value !== undefined && value !== '') return { value, strength };
  }
  return null;
}

/** A Set-Cookie header; an empty value takes the cookie back. */
export function setCookie(kind: Kind, strength: Strength, value: string, asked: Asked): string {
  return [
    `${nameOf(kind, strength, asked)}=${value}`,
    `Path=${strength === 'strict' ? '/' : '/dashboard'}`,
    'HttpOnly',
    'SameSite=Strict',
    `Max-Age=${value === '' ? 0 : SECONDS[kind]}`,
    ...(strength === 'strict' ? ['Secure'] : []),
  ].join('; ');
}

/** Which names a sign-in tries. */
export function strengthsFor({ isHttps }: Asked): readonly Strength[] {
  return isHttps ? ['strict'] : ['strict', 'plain'];
}
