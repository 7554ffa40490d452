import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hashValue, hashWeight, loadBound } from './hash-choice.ts';

const best = (value: string, copies: readonly string[]): string | undefined =>
  copies.toSorted((a, b) => hashWeight(value, b) - hashWeight(value, a))[0];
const COPIES = ['a', 'b', 'c', 'd'].map(name => `0e7f9a52-${name} 10.0.0.1:40000`);

describe('hashWeight()', () => {
  test('gives each of two copies about half of many values', () => {
    const two = COPIES.slice(0, 2);
    const firsts = Array.from({ length: 10_000 }, (_, n) => best(`user-${n}`, two)).filter(copy => copy === two[0]);
    expect(firsts.length).toBeGreaterThan(4_700);
    expect(firsts.length).toBeLessThan(5_300);
  });

  test('a copy that goes moves nothing but what was its own', () => {
    fc.assert(
      fc.property(fc.string(), fc.constantFrom(...COPIES), (value, gone) => {
        const before = best(value, COPIES);
        const after = best(
          value,
          COPIES.filter(copy => copy !== gone),
        );
        expect(after === before || before === gone).toBe(true);
      }),
    );
  });
});

test('hashValue() reads the header whatever its case, and nothing for other routes or without it', () => {
  const headers = ['Host', 'a', 'X-User', 'ann'];
  const names = ['host', 'x-user'];
  expect(hashValue({ loadbalancing: 'hash', hash_header: 'x-USER' }, names, headers)).toBe('ann');
  expect(hashValue({ loadbalancing: 'hash', hash_header: 'X-Other' }, names, headers)).toBe(null);
  expect(hashValue({ loadbalancing: 'round-robin' }, names, headers)).toBe(null);
});

test('loadBound() is the average times the factor, never less than one request', () => {
  expect(loadBound(0, { active: 100, copies: 2 })).toBe(Number.POSITIVE_INFINITY);
  expect(loadBound(1.2, { active: 9, copies: 2 })).toBe(6);
  expect(loadBound(1.1, { active: 0, copies: 4 })).toBe(1);
});
