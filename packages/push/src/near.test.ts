import { expect, test } from 'vitest';
import { didYouMean } from './near.ts';

test.each([
  ['wbe1', 'Did you mean web1?'],
  ['Web', 'Did you mean web1?'],
  ['web', 'Did you mean web1?'],
  ['workerr', 'Did you mean worker?'],
  ['database', null],
])('didYouMean(%j) is %j', (name, text) => {
  expect(didYouMean(name, ['web1', 'worker', 'x'])).toBe(text);
});
