import { expect, test } from 'vitest';
import { tenantsPolicy } from './policy.ts';
import { parseImage, pinned } from './reference.ts';

const HUB = 'registry-1.docker.io';
const DIGEST = `sha256:${'a'.repeat(64)}`;

test.each([
  ['nginx', { host: HUB, name: 'library/nginx', reference: 'latest' }],
  ['team/app:1', { host: HUB, name: 'team/app', reference: '1' }],
  ['docker.io/nginx:1', { host: HUB, name: 'library/nginx', reference: '1' }],
  ['r.example:5000/a/b/c', { host: 'r.example:5000', name: 'a/b/c', reference: 'latest' }],
  [`r.example/a:1@${DIGEST}`, { host: 'r.example', name: 'a', reference: DIGEST }],
  ['localhost/a', { host: 'localhost', name: 'a', reference: 'latest' }],
  ['Nginx', null],
  ['a//b', null],
  ['http://r.example/a', null],
  ['r.example/a b', null],
  ['-x', null],
  ['', null],
  ['r.example/../a', null],
])('parseImage(%s)', (text, reference) => {
  expect(parseImage(text)).toEqual(reference);
});

test.each([
  ['r.example/a:1', `r.example/a:1@${DIGEST}`],
  [`r.example/a:1@sha256:${'b'.repeat(64)}`, `r.example/a:1@${DIGEST}`],
])('pinned(%s)', (text, name) => {
  expect(pinned(text, DIGEST)).toBe(name);
});

test('tenantsPolicy() allows plain HTTP and private addresses where the operator says so, and there only', () => {
  const policy = tenantsPolicy(['10.0.0.5:5000', 'http://r.internal:5000/', '127.0.0.1:5000']);
  const hosts = ['10.0.0.5:5000', 'r.internal:5000', '127.0.0.1:5000', '127.0.0.1:5001', 'r.example'];
  expect(hosts.map(host => policy.mayBePlain(host))).toEqual([false, true, true, false, false]);
  expect(hosts.map(host => policy.mayLieAt(host, '10.0.0.5'))).toEqual([true, true, true, false, false]);
  expect(policy.mayLieAt('r.example', '8.8.8.8')).toBe(true);
});
