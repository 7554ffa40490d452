import { expect, test } from 'vitest';
import { shareable } from './npm-client.ts';

test('shareable() gives a build registries, proxies and certificates, and no token, password or login', () => {
  const { npmrc, cafile } = shareable({
    registry: 'https://me:secret@registry.example/npm/',
    '@mine:registry': 'https://mine.example/',
    'https-proxy': 'http://proxy.example:3128',
    'strict-ssl': true,
    ca: ['-----BEGIN\nx', 'y'],
    cafile: '/etc/company.pem',
    proxy: null,
    '//registry.example/:_authToken': 'secret',
    _auth: 'secret',
    email: 'me@example',
  });
  expect(npmrc.split('\n')).toEqual([
    'registry=https://registry.example/npm/',
    '@mine:registry=https://mine.example/',
    'https-proxy=http://proxy.example:3128',
    'strict-ssl=true',
    'ca[]=-----BEGIN\\nx',
    'ca[]=y',
    '',
  ]);
  expect(cafile).toBe('/etc/company.pem');
});
