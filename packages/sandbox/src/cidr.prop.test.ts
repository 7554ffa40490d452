import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { blocksOf, type Cidr, formatAddress, formatCidr, overlap, parseCidr, sizeOf } from './cidr.ts';

const cidr = fc
  .tuple(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.integer({ min: 8, max: 32 }))
  .map(([address, bits]): Cidr => ({ base: address - (address % sizeOf(bits)), bits }));

describe('cidr', () => {
  test('parseCidr() reads what formatCidr() writes', () => {
    fc.assert(
      fc.property(cidr, network => {
        expect(parseCidr(formatCidr(network))).toEqual(network);
      }),
    );
  });

  test('parseCidr() takes one address as a network of one', () => {
    expect(parseCidr('10.1.2.3')).toEqual(parseCidr('10.1.2.3/32'));
  });

  test.each(['', '10.0.0', '10.0.0.256', '10.0.0.0/33', '10.0.0.0/8/8', 'fe80::1', '10.0.0.0/8; drop', ' 10.0.0.1'])(
    'parseCidr() refuses %j',
    text => expect(parseCidr(text)).toBeNull(),
  );

  test('overlap() says that one lies in the other, or none in any', () => {
    fc.assert(
      fc.property(cidr, cidr, (a, b) => {
        const [small, large] = a.bits > b.bits ? [a, b] : [b, a];
        const enclosing = { base: small.base - (small.base % sizeOf(large.bits)), bits: large.bits };
        expect(overlap(a, b)).toBe(formatCidr(enclosing) === formatCidr(large));
      }),
    );
  });

  test('blocksOf() cuts a network into parts that touch and do not overlap', () => {
    const blocks = blocksOf({ base: 0x0afe_0000, bits: 16 }, 20);
    expect(blocks.map(formatCidr).slice(0, 3)).toEqual(['10.254.0.0/20', '10.254.16.0/20', '10.254.32.0/20']);
    expect(blocks).toHaveLength(16);
    expect(formatAddress((blocks.at(-1)?.base ?? 0) + sizeOf(20) - 1)).toBe('10.254.255.255');
  });
});
