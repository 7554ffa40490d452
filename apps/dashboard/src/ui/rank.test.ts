import { expect, test } from 'vitest';
import { bestOf } from './rank.ts';

const named = (...names: string[]) => names.map(name => ({ name }));
const found = (typed: string) =>
  bestOf(named('webshop', 'my-shop', 'shop-api', 'sharp-oak-pit', 'other'), typed).map(({ name }) => name);

test('bestOf() has what begins so first, then parts, then the middle, then letters in that order', () => {
  expect(found('shop')).toEqual(['shop-api', 'my-shop', 'webshop', 'sharp-oak-pit']);
});

test('bestOf() gives all for nothing typed, and nothing for what is nowhere', () => {
  expect(found(' ')).toHaveLength(5);
  expect(found('xyz')).toEqual([]);
});
