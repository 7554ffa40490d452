import { expect, test } from 'vitest';
import { nextAfterRefusal } from './refusals.ts';

test.each([
  [
    `For application 'a': For route 'a.b': Routes cannot be mapped to destinations in different spaces`,
    /--random-route/,
  ],
  [`For application 'a': Process "web": Memory must use a supported unit: B, K`, /256M/],
  [`For application 'a': Process "web": Instances is not a number`, /manifest\.yml.*cupola push a$/],
  ['Var cannot set PORT', /listen/],
])('nextAfterRefusal(%s)', (said, next) => expect(nextAfterRefusal(said, 'shop')).toMatch(next));

test('nextAfterRefusal() names the app that the refusal names, else the one that is known, else none', () => {
  const taken = 'Route already exists with host "a" for domain "b".';
  expect(nextAfterRefusal(`For application 'b': ${taken}`, 'shop')).toContain('cupola push b --random-route');
  expect(nextAfterRefusal(taken, 'shop')).toContain('cupola push shop --random-route');
  expect(nextAfterRefusal(taken, null)).toContain('cupola push --random-route');
});

test('nextAfterRefusal() is silent where the sentence says it all', () =>
  expect(nextAfterRefusal('Deploy the app before', 'shop')).toBeNull());
