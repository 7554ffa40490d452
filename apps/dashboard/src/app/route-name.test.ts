import { expect, test } from 'vitest';
import { isSettled, securityOf, whyNoRoute, withSlash } from './route-name.ts';

test('whyNoRoute() refuses what the API would', () => {
  expect([whyNoRoute({ host: 'shop', path: '' }), whyNoRoute({ host: '*', path: '/api' })]).toEqual([null, null]);
  expect(whyNoRoute({ host: 'a b', path: '' })).toContain('host');
  expect(whyNoRoute({ host: 'shop', path: '/' })).toContain('path');
  expect(withSlash('api')).toBe('/api');
});

const NOW = Date.parse('2026-11-30T00:00:00Z');
const DAY_MS = 86_400_000;
const route = { url: 'shop.localhost:8080/api', isInternal: false };
const platform = { apps_scheme: 'http' as const, https: { port: 8_443, certificates: 'own' as const } };
const certificate = {
  signed_by: 'public' as const,
  issuer: 'An authority, R1',
  valid_from: new Date(NOW - DAY_MS).toISOString(),
  valid_until: new Date(NOW + 60 * DAY_MS).toISOString(),
  fits: true,
};
const shown = (
  change: Partial<Omit<typeof certificate, 'signed_by'>> & { signed_by?: 'own' | 'public' | 'other' },
) => ({
  https: 'routers' as const,
  byHost: new Map([['shop.localhost', { ...certificate, ...change }]]),
});

test('securityOf() links to HTTPS at its own port, with the path', () => {
  const facts = { platform, certificates: undefined, now: NOW };
  expect(securityOf(route, facts).link).toBe('https://shop.localhost:8443/api');
  expect(securityOf({ ...route, isInternal: true }, facts).link).toBeNull();
  expect(securityOf(route, { ...facts, platform: { apps_scheme: 'http', https: null } })).toEqual({
    text: 'HTTP only',
    link: null,
    tone: null,
  });
});

test.each([
  [{}, 'An authority, R1 until', null],
  [{ signed_by: 'own' as const }, 'own authority until', null],
  [{ valid_until: new Date(NOW + 5 * DAY_MS).toISOString() }, 'until', 'moving'],
  [{ valid_until: new Date(NOW - 1).toISOString() }, 'HTTPS fails: the certificate by An authority, R1 ran out', 'bad'],
  [{ fits: false }, 'made for other names', 'bad'],
])('securityOf() says by which certificate, until when, and where that is trouble: %o', (change, says, tone) => {
  const found = securityOf(route, { platform, certificates: shown(change), now: NOW });
  expect(found.text).toContain(says);
  expect(found.tone).toBe(tone);
});

test('securityOf() says that an ordered certificate has not come yet', () => {
  const acme = { ...platform, https: { port: null, certificates: 'acme' as const } };
  const found = securityOf(route, { platform: acme, certificates: shown({ signed_by: 'own' }), now: NOW });
  expect(found.text).toContain('has given none yet');
});

test('isSettled() is for what fits, and was not ordered elsewhere; of wildcards nothing is known', () => {
  const acme = { ...platform, https: { port: null, certificates: 'acme' as const } };
  const unseen = (host: string) => ({ https: 'routers' as const, byHost: new Map([[host, null]]) });
  expect(isSettled({ platform, certificates: unseen('*.localhost') })).toBe(true);
  expect(isSettled({ platform, certificates: unseen('shop.localhost') })).toBe(false);
  expect(isSettled({ platform, certificates: shown({ fits: false }) })).toBe(false);
  expect(isSettled({ platform, certificates: shown({ signed_by: 'own' }) })).toBe(true);
  expect(isSettled({ platform: acme, certificates: shown({ signed_by: 'own' }) })).toBe(false);
});
