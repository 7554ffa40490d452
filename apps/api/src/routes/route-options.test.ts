import { describe, expect, test } from 'vitest';
import { mergeOptions, readRouteOptions } from './route-options.ts';

const problemsOf = (given: Record<string, unknown>) => readRouteOptions(given, { byHash: true }).problems;

describe('readRouteOptions()', () => {
  test.each([
    [{ loadbalancing: 'hash', hash_header: 'x'.repeat(129) }, 'Hash header must be at most 128 characters'],
    [{ hash_balance: '1'.repeat(17) }, 'Hash balance must be at most 16 characters'],
    [{ hash_balance: 'much' }, 'Hash balance must be a numeric value'],
    [{ hash_balance: 1.05 }, 'Hash balance must be either 0 or between 1.1 and 10.0'],
    [{ hash_balance: '10.1' }, 'Hash balance must be either 0 or between 1.1 and 10.0'],
    [{ loadbalancing: 'round-robin', hash_header: 'X' }, 'Hash header can only be set when loadbalancing is hash'],
    [{ loadbalancing: 'round-robin', hash_balance: 2 }, 'Hash balance can only be set when loadbalancing is hash'],
  ])('%j: %s', (given, text) => {
    expect(problemsOf(given)).toEqual([{ kind: 'hash', text }]);
  });

  test('what is empty is no option', () => {
    expect(readRouteOptions({ hash_header: '', hash_balance: null }, { byHash: true })).toEqual({
      options: { hash_header: null, hash_balance: null },
      problems: [],
    });
  });

  test('hash is one of the values only where the flag is on', () => {
    const valid = 'round-robin, least-connection, hash';
    expect(problemsOf({ loadbalancing: 'x' })).toEqual([{ kind: 'bad value', value: 'x', valid }]);
    expect(readRouteOptions({ loadbalancing: 'hash' }, { byHash: false }).problems).toHaveLength(1);
  });
});

describe('mergeOptions()', () => {
  const hash = { loadbalancing: 'hash', hash_header: 'X', hash_balance: '2.0' };
  test.each([
    [{}, hash],
    [{ hash_balance: '0' }, { ...hash, hash_balance: '0.0' }],
    [{ hash_balance: null }, { loadbalancing: 'hash', hash_header: 'X' }],
    [{ loadbalancing: 'least-connection' }, { loadbalancing: 'least-connection' }],
    [{ loadbalancing: null }, {}],
  ])('%j onto a route that chooses by a header', (changes, merged) => {
    expect(mergeOptions(hash, changes)).toEqual(merged);
  });

  test('hash wants its header', () => {
    expect(() => mergeOptions({}, { loadbalancing: 'hash' })).toThrow(/^Hash header must be present/);
  });
});
