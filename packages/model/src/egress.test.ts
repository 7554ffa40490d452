import { describe, expect, test } from 'vitest';
import { addressOf, DEFAULT_EGRESS, egressOf, networkSpan, neverOpened, type Span, sizeOfEgress } from './egress.ts';

const span = (first: string, last: string): Span => [addressOf(first) ?? -1, addressOf(last) ?? -1];

describe('egressOf()', () => {
  test('egressOf() reads CIDRs, addresses, ranges and lists, and joins what touches', () => {
    const destination = '10.0.1.0/24,10.0.0.0-10.0.0.255,10.0.2.0,192.168.1.7/24';
    expect(egressOf([{ protocol: 'all', destination }])).toEqual([
      {
        protocol: 'all',
        destinations: [span('10.0.0.0', '10.0.2.0'), span('192.168.1.0', '192.168.1.255')],
      },
    ]);
  });

  test('egressOf() makes one rule of those that differ in destination alone, whatever their order', () => {
    const first = { protocol: 'tcp', destination: '10.0.0.1', ports: '443, 80-90' } as const;
    const second = { protocol: 'tcp', destination: '10.0.0.9', ports: '80,81,443' } as const;
    const alike = { ...second, destination: '10.0.0.2', description: 'the same' };
    const merged = [
      { protocol: 'tcp', destinations: [span('10.0.0.2', '10.0.0.2'), span('10.0.0.9', '10.0.0.9')] },
      { protocol: 'tcp', destinations: [span('10.0.0.1', '10.0.0.1')] },
    ];
    const made = egressOf([first, second, alike]);
    expect(egressOf([alike, second, first])).toEqual(made);
    expect(made).toHaveLength(2);
    expect(made).toEqual(expect.arrayContaining(merged.map(rule => expect.objectContaining(rule))));
  });

  test('egressOf() puts rules on record first, and keeps types and codes of ICMP', () => {
    const all = { protocol: 'all', destination: '1.1.1.1' } as const;
    const icmp = { protocol: 'icmp', destination: '1.1.1.1', type: 8, code: -1, log: true } as const;
    expect(egressOf([all, icmp]).map(({ protocol, icmp: kind, log }) => [protocol, kind, log])).toEqual([
      ['icmp', { type: 8, code: -1 }, true],
      ['all', undefined, undefined],
    ]);
  });
});

test('sizeOfEgress() counts what a machine has to hold', () => {
  expect(sizeOfEgress(egressOf([{ protocol: 'tcp', destination: '1.1.1.1,1.1.1.2,2.2.2.2', ports: '1-5,9' }]))).toBe(4);
});

test.each(['10.0.0.0/33', '10.0.0', '1.1.1.1/', '1.1.1.1/8/8', '01.1.1.1', '256.1.1.1', ''])(
  'networkSpan() refuses %j',
  text => expect(networkSpan(text)).toBeNull(),
);

test('neverOpened() names what stays shut as a whole', () => {
  const destination = '169.254.169.254,127.0.0.1-127.0.0.9,10.0.0.0/8,0.0.0.0/0';
  expect(neverOpened({ protocol: 'all', destination })).toEqual(['169.254.169.254', '127.0.0.1-127.0.0.9']);
});

test.each([
  ['1.1.1.1', true],
  ['9.255.255.255', true],
  ['10.0.0.0', false],
  ['100.64.0.1', false],
  ['169.254.169.254', false],
  ['172.15.255.255', true],
  ['172.16.0.0', false],
  ['192.168.1.1', false],
  ['198.51.100.1', true],
])('DEFAULT_EGRESS opens all of %s: %s', (address, isOpen) => {
  const value = addressOf(address) ?? -1;
  const whole = DEFAULT_EGRESS.filter(({ protocol }) => protocol === 'all');
  const opens = whole.some(({ destinations }) => destinations.some(([first, last]) => first <= value && value <= last));
  expect(opens).toBe(isOpen);
});
