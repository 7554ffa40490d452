import { expect, test } from 'vitest';
import { evidenceOf, readCode, withCode } from './causes.ts';

test('withCode() and readCode() carry a code inside a text', () => {
  const text = withCode('Exited with status 1', 'crash');
  expect(text).toBe('Exited with status 1 [crash]');
  expect(readCode(text)).toEqual({ text: 'Exited with status 1', code: 'crash' });
});

test('withCode() shortens the text, never the code', () => {
  expect(withCode('abcdefghij', 'crash', 12)).toBe('abcd [crash]');
});

test('readCode() leaves what is no code of ours as it is', () => {
  expect(readCode('it said [whatever]')).toEqual({ text: 'it said [whatever]', code: null });
  expect(readCode('no mark')).toEqual({ text: 'no mark', code: null });
});

test('evidenceOf() is one trimmed line of bounded length, or null', () => {
  expect(evidenceOf('  x ')).toBe('x');
  expect(evidenceOf('   ')).toBeNull();
  expect(evidenceOf(undefined)).toBeNull();
  expect(evidenceOf('y'.repeat(1_000))).toHaveLength(300);
});
