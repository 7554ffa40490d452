import { expect, test } from 'vitest';
import { securityOf, whyNoRoute, withSlash } from './route-name.ts';

test('whyNoRoute() refuses what the API would', () => {
  expect([whyNoRoute({ host: 'shop', path: '' }), whyNoRoute({ host: '*', path: '/api' })]).toEqual([null, null]);
  expect(whyNoRoute({ host: 'a b', path: '' })).toContain('host');
  expect(whyNoRoute({ host: 'shop', path: '/' })).toContain('path');
  expect(withSlash('api')).toBe('/api');
});

test('securityOf() links to HTTPS at its own port, with the path', () => {
  const https = { port: 8_443, certificates: 'own' as const };
  const route = { url: 'shop.localhost:8080/api', isInternal: false };
  expect(securityOf(route, { apps_scheme: 'http', https }).link).toBe('https://shop.localhost:8443/api');
  expect(securityOf(route, { apps_scheme: 'http', https: null })).toEqual({ text: 'HTTP', link: null });
  expect(securityOf({ ...route, isInternal: true }, { apps_scheme: 'http', https }).link).toBeNull();
});
