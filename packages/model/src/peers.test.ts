import { expect, test } from 'vitest';
import {
  addressesOf,
  type Distant,
  findName,
  isOpen,
  type Located,
  type NetworkPolicy,
  namesOf,
  PASSAGE_PORTS_MAX,
  passagesOf,
  peeringsOf,
} from './peers.ts';

const at = (address: string, appGuid: string, given: Partial<Located> = {}): Located => ({
  appGuid,
  processType: 'web',
  index: 0,
  address,
  isHealthy: true,
  ...given,
});
const policy = (
  sourceAppGuid: string,
  destinationAppGuid: string,
  given: Partial<NetworkPolicy> = {},
): NetworkPolicy => ({ sourceAppGuid, destinationAppGuid, protocol: 'tcp', ports: [8080, 8081], ...given });

test('peeringsOf() leads each instance of the source to each of the destination, one way, healthy or not', () => {
  const located = [
    at('1', 'a'),
    at('2', 'a', { processType: 'task' }),
    at('3', 'b', { isHealthy: false }),
    at('4', 'c'),
  ];
  expect(peeringsOf([policy('a', 'b')], located)).toEqual([
    { from: ['1', '2'], to: ['3'], tcp: [[8080, 8081]], udp: [] },
  ]);
});

test('peeringsOf() joins the ports of all policies of two apps', () => {
  const policies = [
    policy('a', 'b', { ports: [90, 99] }),
    policy('a', 'b', { ports: [80, 89] }),
    policy('a', 'b', { protocol: 'udp', ports: [53, 53] }),
    policy('b', 'a', { ports: [1, 1] }),
  ];
  expect(peeringsOf(policies, [at('1', 'a'), at('2', 'b')])).toEqual([
    { from: ['1'], to: ['2'], tcp: [[80, 99]], udp: [[53, 53]] },
    { from: ['2'], to: ['1'], tcp: [[1, 1]], udp: [] },
  ]);
});

test('peeringsOf() says nothing of apps that do not run here', () => {
  expect(peeringsOf([policy('a', 'b'), policy('b', 'a')], [at('1', 'a')])).toEqual([]);
});

const far = (guid: string, appGuid: string): Distant => ({
  guid,
  appGuid,
  processType: 'web',
  index: 0,
  cellId: 'other',
  isHealthy: true,
});

test('passagesOf() leads from here to each instance elsewhere, by TCP alone, and never from there or between those there', () => {
  const policies = [policy('a', 'b'), policy('b', 'a'), policy('a', 'b', { protocol: 'udp', ports: [53, 53] })];
  const [b1, b2] = [far('b1', 'b'), far('b2', 'b')];
  expect(passagesOf(policies, [at('1', 'a'), at('2', 'a')], [b1, b2])).toEqual([
    { from: ['1', '2'], to: b1, ports: [8080, 8081] },
    { from: ['1', '2'], to: b2, ports: [8080, 8081] },
  ]);
  expect(passagesOf(policies, [], [far('a1', 'a'), b1])).toEqual([]);
  expect(passagesOf([policy('a', 'b', { protocol: 'udp' })], [at('1', 'a')], [b1])).toEqual([]);
});

test('passagesOf() carries the first ports of a long span', () => {
  const [passage] = passagesOf([policy('a', 'b', { ports: [1, 65_535] })], [at('1', 'a')], [far('b1', 'b')]);
  expect(passage?.ports).toEqual(Array.from({ length: PASSAGE_PORTS_MAX }, (_, index) => index + 1));
});

const names = namesOf(
  ['apps.internal'],
  [
    { name: 'api.apps.internal', destinations: [{ appGuid: 'a', processType: 'web' }] },
    { name: 'none.apps.internal', destinations: [] },
    { name: '7.own.apps.internal', destinations: [{ appGuid: 'b', processType: 'web' }] },
  ],
);
const located = [
  at('10.0.0.1', 'a'),
  at('10.0.0.2', 'a', { index: 1 }),
  at('10.0.0.3', 'a', { index: 2, isHealthy: false }),
  at('10.0.0.4', 'a', { processType: 'worker' }),
  at('10.0.0.5', 'b'),
];

test.each([
  ['api.apps.internal', ['10.0.0.1', '10.0.0.2']],
  ['API.Apps.Internal.', ['10.0.0.1', '10.0.0.2']],
  ['1.api.apps.internal', ['10.0.0.2']],
  ['2.api.apps.internal', []],
  ['9.api.apps.internal', []],
  ['none.apps.internal', []],
  ['7.own.apps.internal', ['10.0.0.5']],
  ['x.api.apps.internal', 'unknown'],
  ['other.apps.internal', 'unknown'],
  ['0.0.api.apps.internal', 'unknown'],
  ['apps.internal', 'unknown'],
  ['myapps.internal', 'elsewhere'],
  ['internal', 'elsewhere'],
  ['apps.internal.example.com', 'elsewhere'],
  ['example.com', 'elsewhere'],
  ['', 'elsewhere'],
])('findName(%s) leads to %j', (name, addresses) => {
  const found = findName(name, names);
  expect(typeof found === 'string' ? found : addressesOf(found, located)).toEqual(addresses);
});

test.each([
  ['a', 'b', 8080, true],
  ['a', 'b', 8081, true],
  ['a', 'b', 8082, false],
  ['a', 'b', 53, false],
  ['b', 'a', 8080, false],
])('isOpen() from %s to %s on port %i: %s', (sourceAppGuid, destinationAppGuid, port, answer) => {
  const policies = [policy('a', 'b'), policy('a', 'b', { protocol: 'udp', ports: [53, 53] })];
  expect(isOpen(policies, { sourceAppGuid, destinationAppGuid, port })).toBe(answer);
});
