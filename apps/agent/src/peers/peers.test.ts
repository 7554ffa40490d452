import type { PeerItem, WatchLine } from '@cupola/contract/internal';
import type { Peering } from '@cupola/model/peers';
import type { Door } from '@cupola/sandbox/network-rules';
import { expect, test } from 'vitest';
import { type Copy, newCopy } from '../copies/copy.ts';
import { aPlacement, aRunSpec, silentLog, tempFolder } from '../fixtures.ts';
import { createPeers, type Peers } from './peers.ts';

const at = { epoch: 'e', revision: 1 };
const DOMAIN: PeerItem = { kind: 'domain', guid: 'd', name: 'apps.internal' };
const NAME: PeerItem = {
  kind: 'route',
  guid: 'r',
  name: 'back.apps.internal',
  destinations: [{ appGuid: 'back', processType: 'web' }],
};
const POLICY: PeerItem = {
  kind: 'policy',
  guid: 'p',
  sourceAppGuid: 'front',
  destinationAppGuid: 'back',
  protocol: 'tcp',
  ports: [8080, 8080],
};
const snapshot = (...items: unknown[]): WatchLine<unknown> => ({ type: 'snapshot', ...at, items });

function aCopy(appGuid: string, host: string, state: 'STARTING' | 'RUNNING' = 'RUNNING'): Copy {
  const copy = newCopy(aPlacement({ ...aRunSpec([]), appGuid }), { nowMs: 0, monotonicMs: 0 });
  const address = { host, port: 8080, network: `net-${host}` };
  const launch = { sandboxGuid: 's', address, isStarted: true, startedMs: 0 };
  copy.record = { ...copy.record, state, routable: state === 'RUNNING', launch };
  return copy;
}

function open(
  folder: string,
  copies: Copy[],
  {
    fails = 0,
    standIns = [],
    clock = { now: 0 },
  }: { fails?: number; standIns?: string[]; clock?: { now: number } } = {},
) {
  const connected: Array<readonly Peering[]> = [];
  const doors: Array<readonly Door[]> = [];
  let failures = fails;
  const networks = {
    standIns,
    connect: async (peerings: readonly Peering[], opened: readonly Door[] = []): Promise<void> => {
      if (failures-- > 0) throw new Error('nft is away');
      connected.push(peerings);
      doors.push(opened);
    },
  };
  const peers: Peers = createPeers({
    networks,
    folder,
    cellId: 'cell-1',
    copies: () => copies,
    doorPort: () => 4444,
    monotonic: () => clock.now,
    log: silentLog,
    retryMs: 1,
  });
  return { peers, connected, doors };
}

test('createPeers() connects the instances that policies name, as they come and go', async () => {
  using folder = tempFolder();
  const copies = [aCopy('front', '10.0.0.1'), aCopy('back', '10.0.0.2', 'STARTING')];
  const { peers, connected } = open(folder.path, copies);
  peers.said(snapshot(POLICY, DOMAIN, NAME));
  await peers.settled();
  expect(connected.at(-1)).toEqual([{ from: ['10.0.0.1'], to: ['10.0.0.2'], tcp: [[8080, 8080]], udp: [] }]);
  copies.pop();
  peers.look();
  await peers.settled();
  expect(connected.at(-1)).toEqual([]);
  copies.push(aCopy('back', '10.0.0.3'));
  peers.said({ type: 'remove', ...at, guid: 'p' });
  await peers.settled();
  expect(connected.at(-1)).toEqual([]);
});

test('createPeers() names healthy instances', () => {
  using folder = tempFolder();
  const copies = [aCopy('back', '10.0.0.2'), aCopy('back', '10.0.0.3', 'STARTING')];
  const { peers } = open(folder.path, copies);
  peers.said(snapshot(DOMAIN, NAME));
  expect(peers.lookUp('back.apps.internal')).toEqual(['10.0.0.2']);
  expect(peers.lookUp('other.apps.internal')).toBe('unknown');
  expect(peers.lookUp('example.com')).toBe('elsewhere');
});

test('createPeers() forgets a name that is withdrawn, and names no task', () => {
  using folder = tempFolder();
  const task = aCopy('back', '10.0.0.2');
  task.record.placement.runSpec.taskName = 'migrate';
  const { peers } = open(folder.path, [task]);
  peers.said(snapshot(DOMAIN, NAME));
  expect(peers.lookUp('back.apps.internal')).toEqual([]);
  peers.said({ type: 'remove', ...at, guid: 'r' });
  expect(peers.lookUp('back.apps.internal')).toBe('unknown');
});

test('createPeers() knows what the former agent was told, but for what it did not understand', async () => {
  using folder = tempFolder();
  const { peers: former } = open(folder.path, []);
  former.said(snapshot(DOMAIN, NAME, { kind: 'new', guid: 'x' }));
  await former.settled();
  const { peers } = open(folder.path, [aCopy('back', '10.0.0.2')]);
  expect(peers.lookUp('back.apps.internal')).toEqual(['10.0.0.2']);
});

test('createPeers() tries again what could not be set', async () => {
  using folder = tempFolder();
  const { peers, connected } = open(folder.path, [], { fails: 1 });
  peers.look();
  await expect.poll(() => connected.length).toBe(1);
});

const far = (guid: string, appGuid: string, given: { cellId?: string; isHealthy?: boolean } = {}): PeerItem => ({
  kind: 'instance',
  guid,
  appGuid,
  processType: 'web',
  index: 1,
  cellId: 'cell-2',
  isHealthy: true,
  ...given,
});
const CELL: PeerItem = { kind: 'cell', guid: 'cell-2', host: '10.9.9.9', port: 7464 };
const IN_BLOCK = Array.from({ length: 9 }, (_, index) => `10.254.15.${index}`);

test('createPeers() names healthy instances of other machines by stand-ins, beside its own', async () => {
  using folder = tempFolder();
  const { peers } = open(folder.path, [aCopy('back', '10.0.0.2')], { standIns: IN_BLOCK });
  peers.said(snapshot(DOMAIN, NAME, CELL, far('b', 'back'), far('c', 'back', { isHealthy: false })));
  peers.said({ type: 'upsert', ...at, item: far('own', 'back', { cellId: 'cell-1' }) });
  peers.said({ type: 'upsert', ...at, item: far('lost', 'back', { cellId: 'cell-3' }) });
  const [own, other, ...more] = peers.lookUp('back.apps.internal');
  expect([own, IN_BLOCK.includes(other ?? ''), more]).toEqual(['10.0.0.2', true, []]);
  expect(peers.lookUp('1.back.apps.internal')).toEqual([other]);
  // The next agent gives it the same one.
  await peers.settled();
  const { peers: next } = open(folder.path, [], { standIns: IN_BLOCK });
  expect(next.lookUp('back.apps.internal')).toEqual([other]);
});

test('createPeers() opens a door to an instance elsewhere for whom a policy names, and knows the way behind it', async () => {
  using folder = tempFolder();
  const [front, other] = [aCopy('front', '10.0.0.1'), aCopy('other', '10.0.0.3')];
  const { peers, doors } = open(folder.path, [front, other], { standIns: IN_BLOCK });
  peers.said(snapshot(POLICY, DOMAIN, NAME, CELL, far('b', 'back')));
  await peers.settled();
  const [door, ...more] = doors.at(-1) ?? [];
  const [to] = peers.lookUp('back.apps.internal');
  expect([door, more]).toEqual([{ from: '10.0.0.1', to, port: 8080, door: expect.any(String), doorPort: 4444 }, []]);
  const way = { call: { sourceGuid: front.record.placement.guid, instanceGuid: 'b', port: 8080 }, cell: CELL };
  expect(peers.wayOf('10.0.0.1', door?.door ?? '')).toEqual(way);
  expect(peers.wayOf('10.0.0.3', door?.door ?? '')).toBeNull();
  expect(peers.wayOf('10.9.9.1', door?.door ?? '')).toBeNull();
  expect(peers.wayOf('10.0.0.1', to ?? '')).toBeNull();
  // Rules of the host may be a moment behind.
  peers.said({ type: 'remove', ...at, guid: 'p' });
  expect(peers.wayOf('10.0.0.1', door?.door ?? '')).toBeNull();
  await peers.settled();
  expect(doors.at(-1)).toEqual([]);
});

test('createPeers() lets in what another cell passes on where a policy names an instance that is placed there', () => {
  using folder = tempFolder();
  const clock = { now: 0 };
  const [back, other] = [aCopy('back', '10.0.0.2'), aCopy('other', '10.0.0.3')];
  const { peers } = open(folder.path, [back, other], { clock });
  peers.said(snapshot(POLICY, CELL, far('f', 'front'), far('stranger', 'other')));
  const ask = (given: { sourceGuid?: string; instanceGuid?: string; port?: number } = {}, cellId = 'cell-2') =>
    peers.peerAddressOf({ sourceGuid: 'f', instanceGuid: back.record.placement.guid, port: 8080, ...given }, cellId);
  expect(ask()).toEqual({ host: '10.0.0.2', port: 8080 });
  expect(ask({}, 'cell-3')).toBeNull();
  expect(ask({ port: 8081 })).toBeNull();
  expect(ask({ sourceGuid: 'stranger' })).toBeNull();
  expect(ask({ sourceGuid: 'nobody' })).toBeNull();
  expect(ask({ instanceGuid: other.record.placement.guid })).toBeNull();
  expect(ask({ instanceGuid: 'nobody' })).toBeNull();
  // It ends what it has begun.
  peers.said({ type: 'remove', ...at, guid: 'f' });
  expect(ask()).toEqual({ host: '10.0.0.2', port: 8080 });
  clock.now = 30_000;
  expect(ask()).toBeNull();
});
