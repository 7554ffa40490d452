import type { PeerItem, WatchLine } from '@cupola/contract/internal';
import type { Peering } from '@cupola/model/peers';
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

function open(folder: string, copies: Copy[], fails = 0) {
  const connected: Array<readonly Peering[]> = [];
  let failures = fails;
  const networks = {
    connect: async (peerings: readonly Peering[]): Promise<void> => {
      if (failures-- > 0) throw new Error('nft is away');
      connected.push(peerings);
    },
  };
  const peers: Peers = createPeers({ networks, folder, copies: () => copies, log: silentLog, retryMs: 1 });
  return { peers, connected };
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
  const { peers, connected } = open(folder.path, [], 1);
  peers.look();
  await expect.poll(() => connected.length).toBe(1);
});
