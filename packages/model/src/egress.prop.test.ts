import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ADDRESS_MAX, type EgressRule, egressOf, joinSpans, type SecurityRule, type Span } from './egress.ts';

const text = (value: number): string => [24, 16, 8, 0].map(shift => Math.floor(value / 2 ** shift) % 256).join('.');
/** Few addresses and ports, so that rules meet. */
const address = fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: ADDRESS_MAX - 40, max: ADDRESS_MAX }));
const range = fc.tuple(address, address).map(([a, b]): Span => [Math.min(a, b), Math.max(a, b)]);
const port = fc.integer({ min: 1, max: 12 });
const ports = fc.oneof(
  fc.array(port, { minLength: 1, maxLength: 4 }).map(list => list.join(',')),
  fc.tuple(port, port).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b) + 1}`),
);
const destination = fc
  .array(range, { minLength: 1, maxLength: 3 })
  .map(list => list.map(([a, b]) => `${text(a)}-${text(b)}`).join(','));
const rule: fc.Arbitrary<SecurityRule> = fc.oneof(
  fc.record({ protocol: fc.constantFrom('tcp' as const, 'udp' as const), destination, ports }),
  fc.record({ protocol: fc.constant('all' as const), destination, log: fc.boolean() }),
);
interface Packet {
  protocol: 'tcp' | 'udp';
  to: number;
  port: number;
}
const packet: fc.Arbitrary<Packet> = fc.record({ protocol: fc.constantFrom('tcp', 'udp'), to: address, port });
const within = (value: number, spans: readonly Span[]): boolean =>
  spans.some(([first, last]) => first <= value && value <= last);
const passes = (rules: readonly EgressRule[], { protocol, to, port: at }: Packet): boolean =>
  rules.some(
    each =>
      (each.protocol === 'all' || each.protocol === protocol) &&
      within(to, each.destinations) &&
      (each.ports === undefined || within(at, each.ports)),
  );

test('egressOf() of many rules lets through what one of them does, and nothing else', () => {
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 6 }), packet, (rules, sent) => {
      const one = rules.some(each => passes(egressOf([each]), sent));
      expect(passes(egressOf(rules), sent)).toBe(one);
    }),
  );
});

test('joinSpans() keeps each number, in spans that are sorted and do not touch', () => {
  fc.assert(
    fc.property(fc.array(range), address, (spans, value) => {
      const joined = joinSpans(spans);
      expect(within(value, joined)).toBe(within(value, spans));
      expect(joined.every(([first], index) => index === 0 || first > (joined[index - 1]?.[1] ?? 0) + 1)).toBe(true);
    }),
  );
});
