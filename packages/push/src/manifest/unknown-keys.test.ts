import { expect, test } from 'vitest';
import { unknownKeys } from './unknown-keys.ts';

test('unknownKeys() names typos, with what was meant', () => {
  expect(
    unknownKeys({ name: 'shop', memroy: '64M', colour: 'red', processes: [{ type: 'web', instanses: 2 }] }),
  ).toEqual([
    '"memroy" is no key of an app: it does nothing. Did you mean memory?',
    '"colour" is no key of an app: it does nothing.',
    '"instanses" is no key of a process: it does nothing. Did you mean instances?',
  ]);
});

test('unknownKeys() knows every spelling that the API takes', () => {
  const known = {
    name: 'a',
    disk_quota: '1G',
    healthCheckType: 'port',
    'random-route': true,
    env: { ANY: 1 },
    processes: null,
  };
  expect(unknownKeys(known)).toEqual([]);
});
