import { egressOf, type SecurityRule } from '@cupola/model/egress';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { defaultEgress, egressChain } from './egress-chains.ts';
import { chainText, forgetText, leadText } from './network-rules.ts';

const chain = (rules: SecurityRule[], label = 'app') => egressChain({ rules: egressOf(rules), label });

describe('egressChain()', () => {
  test.each<[SecurityRule, string[]]>([
    [{ protocol: 'all', destination: '10.0.0.0/8' }, ['ip daddr { 10.0.0.0-10.255.255.255 } accept']],
    [{ protocol: 'all', destination: '0.0.0.0/0' }, ['ip daddr { 0.0.0.0/0 } accept']],
    [
      { protocol: 'tcp', destination: '10.0.0.1,10.0.0.5-10.0.0.9', ports: '443,5430-5432' },
      ['ip daddr { 10.0.0.1, 10.0.0.5-10.0.0.9 } tcp dport { 443, 5430-5432 } accept'],
    ],
    [{ protocol: 'udp', destination: '10.0.0.1', ports: '53' }, ['ip daddr { 10.0.0.1 } udp dport { 53 } accept']],
    [
      { protocol: 'icmp', destination: '10.0.0.1', type: -1, code: -1 },
      ['ip daddr { 10.0.0.1 } meta l4proto icmp accept'],
    ],
    [
      { protocol: 'icmp', destination: '10.0.0.1', type: 8, code: 0 },
      ['ip daddr { 10.0.0.1 } meta l4proto icmp icmp type 8 icmp code 0 accept'],
    ],
    [
      { protocol: 'all', destination: '10.0.0.1', log: true },
      [
        'ip daddr { 10.0.0.1 } limit rate 10/second burst 20 packets log prefix "cupola app " level info',
        'ip daddr { 10.0.0.1 } accept',
      ],
    ],
  ])('egressChain() of %j', (rule, lines) => {
    expect(chain([rule]).lines).toEqual(lines);
  });

  test('egressChain() has one name for the same rules, whoever asks, unless they go on record', () => {
    const rule: SecurityRule = { protocol: 'all', destination: '10.0.0.1' };
    expect(chain([rule], 'one').name).toBe(chain([rule], 'two').name);
    expect(chain([{ ...rule, log: true }], 'one').name).not.toBe(chain([{ ...rule, log: true }], 'two').name);
    expect(chain([]).name).not.toBe(egressChain(defaultEgress).name);
  });

  test('egressChain() lets no label out of its quotes', () => {
    const [line] = chain([{ protocol: 'all', destination: '10.0.0.1', log: true }], 'a" accept; x\n').lines;
    expect(line).toContain('log prefix "cupola aacceptx " level info');
  });

  test('egressChain() writes words of nftables alone, for any rules', () => {
    const octet = fc.integer({ min: 0, max: 255 });
    const destination = fc.tuple(octet, octet, octet, octet).map(octets => octets.join('.'));
    const ports = fc.integer({ min: 1, max: 65_535 }).map(String);
    const rule: fc.Arbitrary<SecurityRule> = fc.record({
      protocol: fc.constantFrom('tcp', 'udp', 'icmp', 'all'),
      destination,
      ports,
      type: fc.integer({ min: -1, max: 255 }),
      code: fc.integer({ min: -1, max: 255 }),
      log: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(rule, { minLength: 1, maxLength: 5 }), fc.string(), (rules, label) => {
        const { name, lines } = chain(rules, label);
        expect(name).toMatch(/^egress_[0-9a-f]{12}$/);
        expect(lines.every(each => /^[A-Za-z0-9 .,{}/"-]+$/.test(each) && / (accept|info)$/.test(each))).toBe(true);
      }),
    );
  });
});

test('chainText(), leadText() and forgetText() are what is done for one address', () => {
  const made = chain([{ protocol: 'all', destination: '10.0.0.1' }]);
  expect(chainText('cupola_x', made)).toBe(
    `table inet cupola_x {\n  chain ${made.name} {\n    ip daddr { 10.0.0.1 } accept\n  }\n}\n`,
  );
  expect(leadText('cupola_x', '10.254.0.2', made.name)).toBe(
    `add element inet cupola_x egress { 10.254.0.2 : jump ${made.name} }\n`,
  );
  expect(forgetText('cupola_x', '10.254.0.2')).toBe('delete element inet cupola_x egress { 10.254.0.2 }\n');
});
