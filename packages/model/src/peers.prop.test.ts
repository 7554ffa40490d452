import fc from 'fast-check';
import { test } from 'vitest';
import {
  addressesOf,
  findName,
  isOpen,
  type Located,
  type NetworkPolicy,
  namesOf,
  passagesOf,
  peeringsOf,
} from './peers.ts';

const app = fc.constantFrom('a', 'b', 'c', 'd');
const port = fc.integer({ min: 1, max: 12 });
const policies: fc.Arbitrary<NetworkPolicy[]> = fc.array(
  fc.record({
    sourceAppGuid: app,
    destinationAppGuid: app,
    protocol: fc.constantFrom('tcp' as const, 'udp' as const),
    ports: fc.tuple(port, port).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as [number, number]),
  }),
  { maxLength: 12 },
);
const located: fc.Arbitrary<Located[]> = fc.array(
  fc.record({
    appGuid: app,
    processType: fc.constantFrom('web', 'worker'),
    index: fc.integer({ min: 0, max: 3 }),
    address: fc.integer({ min: 1, max: 250 }).map(last => `10.0.0.${last}`),
    isHealthy: fc.boolean(),
  }),
  { maxLength: 12 },
);
const uniquely = located.map(all => [...new Map(all.map(one => [one.address, one])).values()]);

test('peeringsOf() lets a packet through exactly when a policy names its apps, protocol and port', () => {
  const packet = fc.record({ protocol: fc.constantFrom('tcp' as const, 'udp' as const), port });
  fc.assert(
    fc.property(policies, uniquely, packet, (all, places, { protocol, port: to }) => {
      const peerings = peeringsOf(all, places);
      const within = ([first, last]: readonly [number, number]): boolean => first <= to && to <= last;
      return places.every(source =>
        places.every(destination => {
          const passes = peerings.some(
            peering =>
              peering.from.includes(source.address) &&
              peering.to.includes(destination.address) &&
              peering[protocol].some(within),
          );
          const isAllowed = all.some(
            policy =>
              policy.sourceAppGuid === source.appGuid &&
              policy.destinationAppGuid === destination.appGuid &&
              policy.protocol === protocol &&
              within(policy.ports),
          );
          return passes === isAllowed;
        }),
      );
    }),
  );
});

test('passagesOf() leads from an address here to an instance elsewhere exactly where isOpen() says so', () => {
  fc.assert(
    fc.property(policies, uniquely, uniquely, port, (all, here, there, to) => {
      const distant = there.map(({ address, ...one }) => ({ ...one, guid: `guid of ${address}`, cellId: 'other' }));
      const passages = passagesOf(all, here, distant);
      return here.every(source =>
        distant.every(
          destination =>
            passages.some(
              passage =>
                passage.from.includes(source.address) && passage.to === destination && passage.ports.includes(to),
            ) === isOpen(all, { sourceAppGuid: source.appGuid, destinationAppGuid: destination.appGuid, port: to }),
        ),
      );
    }),
  );
});

test('peeringsOf() does not depend on the order of what it is told', () => {
  fc.assert(
    fc.property(
      policies,
      uniquely,
      (all, places) =>
        JSON.stringify(peeringsOf(all.toReversed(), places.toReversed())) === JSON.stringify(peeringsOf(all, places)),
    ),
  );
});

test('findName() knows names of internal domains alone, and they lead to healthy instances of their own', () => {
  const names = namesOf(
    ['apps.internal'],
    [{ name: 'a.apps.internal', destinations: [{ appGuid: 'a', processType: 'web' }] }],
  );
  const label = fc.constantFrom('a', 'apps', 'internal', '0', '1', '', 'x', 'APPS');
  const name = fc.array(label, { maxLength: 6 }).map(labels => labels.join('.'));
  fc.assert(
    fc.property(fc.oneof(name, fc.string()), uniquely, (asked, places) => {
      const found = findName(asked, names);
      if (!/(^|\.)apps\.internal\.?$/i.test(asked)) return found === 'elsewhere';
      if (typeof found === 'string') return found === 'unknown';
      return places.every(
        place =>
          !addressesOf(found, places).includes(place.address) ||
          (place.isHealthy && place.appGuid === 'a' && place.processType === 'web'),
      );
    }),
  );
});
