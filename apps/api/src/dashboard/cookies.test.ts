import { expect, test } from 'vitest';
import { readCookie, setCookie, strengthsFor } from './cookies.ts';

const asked = (cookie: string, isHttps: boolean, host = 'api.example.com:8081') => ({
  headers: { host, cookie },
  isHttps,
});

test('readCookie() takes no plain cookie over HTTPS: an app below the same domain could have set it', () => {
  const cookie = 'a=b; cupola-session-8081=plain';
  expect(readCookie('session', asked(cookie, true))).toBeNull();
  expect(readCookie('session', asked(cookie, false))).toEqual({ value: 'plain', strength: 'plain' });
});

test('readCookie() prefers the cookie of this host alone, and takes none of another port', () => {
  const cookie = 'cupola-session-8081=plain; __Host-cupola-session-8081=strict; __Host-cupola-session-9081=other';
  expect(readCookie('session', asked(cookie, false))).toEqual({ value: 'strict', strength: 'strict' });
  expect(readCookie('sign-in', asked(cookie, false))).toBeNull();
});

test('setCookie() without a port names the one of the scheme', () => {
  const { headers, isHttps } = asked('', true, 'api.example.com');
  expect(setCookie('session', 'strict', 'x', { headers, isHttps })).toMatch(/^__Host-cupola-session-443=x; Path=\/; /);
  expect(strengthsFor({ headers, isHttps })).toEqual(['strict']);
});
