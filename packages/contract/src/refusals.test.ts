import { expect, test } from 'vitest';
import { nextAfterRefusal } from './refusals.ts';

test.each([
  [
    `For application 'a': For route 'a.b': Routes cannot be mapped to destinations in different spaces`,
    /--random-route/,
  ],
  [`For application 'a': Process "web": Memory must use a supported unit: B, K`, /256M/],
  [`For application 'a': Process "web": Instances is not a number`, /manifest\.yml.*cupola push shop/],
  ['Var cannot set PORT', /listen/],
])('nextAfterRefusal(%s)', (said, next) => expect(nextAfterRefusal(said, 'shop')).toMatch(next));

test('nextAfterRefusal() is silent where the sentence says it all', () =>
  expect(nextAfterRefusal('Deploy the app before', 'shop')).toBeNull());
