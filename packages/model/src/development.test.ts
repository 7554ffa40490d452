import { expect, test } from 'vitest';
import { isChangePath } from './development.ts';

test.each([
  ['server.js', true],
  ['lib/deep/er.js', true],
  ['a name with spaces', true],
  [`${'a'.repeat(255)}`, true],
  ['', false],
  ['/etc/passwd', false],
  ['lib//er.js', false],
  ['./server.js', false],
  ['lib/../../out', false],
  ['two\nlines', false],
  [`lib/${'a'.repeat(256)}`, false],
  // 86 characters of three bytes each: more than a name of a file may have.
  ['字'.repeat(86), false],
  ['字'.repeat(85), true],
])('isChangePath(%j) is %s', (path, expected) => {
  expect(isChangePath(path)).toBe(expected);
});
