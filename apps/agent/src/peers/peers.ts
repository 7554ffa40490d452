/**
 * What the instances of this cell reach of each other, and of those of other machines. Policies and internal names come by a watch of the API and are kept on
 * disk, so that they count while it is away; where its own instances are this cell knows itself, and of others it is told. Each change of either is brought to
 * the host's rules; names are answered as they are asked. An instance elsewhere has a stand-in here, and a door for each port that a policy opens.
 */
import { join } from 'node:path';
import type { PeerCall } from '@cupola/certificates/members/forwarding';
import type { WatchLine } from '@cupola/contract/internal';
import { addressesOf, findName, isOpen, type Located, peeringsOf } from '@cupola/model/peers';
import type { Networks } from '@cupola/sandbox/networks';
import type { Logger } from 'pino';
import type { Copy } from '../copies/copy.ts';
import { openElsewhere } from './elsewhere.ts';
import type { Way } from './gate.ts';
import type { LookedUp } from './name-server.ts';
import { openTold } from './told.ts';

export interface Peers {
  /** A line of the watch. */
  said(line: WatchLine<unknown>): void;
  /** Copies may have changed. Returns at once: what an app reaches of others, it reaches a moment later. */
  look(): void;
  lookUp(name: string): LookedUp;
  /** Where an instance of another cell, which has dialled one of ours, is let in; null: it is not. */
  peerAddressOf(call: PeerCall, cellId: string): { host: string; port: number } | null;
  /** Which way what has come from an address of ours to a door is to go; null: none. */
  wayOf(fromAddress: string, door: string): Way | null;
  /** Those that are there, and take connections. */
  cells(): ReadonlySet<string>;
  /** Resolves when the host has what was looked at last. */
  settled(): Promise<void>;
}

/** Ours. */
const RETRY_MS = 5_000;

interface Deps {
  networks: Pick<Networks, 'connect' | 'standIns'>;
  folder: string;
  cellId: string;
  copies(): readonly Copy[];
  /** Where what comes to doors is heard; null: nowhere. */
  doorPort(): number | null;
  monotonic(): number;
  log: Logger;
  /** After rules that could not be set; `RETRY_MS` but in tests. */
  retryMs?: number;
}

export function createPeers({ networks, folder, log, retryMs = RETRY_MS, ...deps }: Deps): Peers {
  const told = openTold(join(folder, 'peers.json'), { monotonic: deps.monotonic, log });
  const located = (): Here[] => deps.copies().flatMap(locatedOf);
  const elsewhere = openElsewhere({ ...deps, told, networks, file: join(folder, 'stand-ins.json'), log });
  let working: Promise<void> = Promise.resolve();
  let isAsked = false;
  const connect = async (): Promise<void> => {
    isAsked = false;
    try {
      told.keep();
      const here = located();
      await networks.connect(peeringsOf(told.policies(), here), elsewhere.doors(here));
    } catch (error) {
      log.error({ err: error }, 'network policies could not be set; this is tried again');
      setTimeout(look, retryMs).unref();
    }
  };
  const look = (): void => {
    if (isAsked) return;
    isAsked = true;
    working = working.then(connect);
  };
  const mayReach = (source: Pick<Located, 'appGuid'>, destination: Pick<Located, 'appGuid'>, port: number): boolean =>
    isOpen(told.policies(), { sourceAppGuid: source.appGuid, destinationAppGuid: destination.appGuid, port });
  return {
    said: line => {
      told.hear(line);
      look();
    },
    look,
    lookUp: name => {
      const found = findName(name, told.names());
      return typeof found === 'string' ? found : addressesOf(found, [...located(), ...elsewhere.located()]);
    },
    peerAddressOf: ({ sourceGuid, instanceGuid, port }, cellId) => {
      const source = told.instanceOrLeaving(sourceGuid);
      const destination = located().find(({ guid }) => guid === instanceGuid);
      if (source?.cellId !== cellId || destination === undefined || !mayReach(source, destination, port)) return null;
      return { host: destination.address, port };
    },
    wayOf: (fromAddress, door) => {
      const source = located().find(({ address }) => address === fromAddress);
      const behind = elsewhere.behind(door);
      if (source === undefined || behind === null) return null;
      const { to, port } = behind;
      const cell = told.cells().get(to.cellId);
      if (cell === undefined || !mayReach(source, to, port)) return null;
      return { call: { sourceGuid: source.guid, instanceGuid: to.guid, port }, cell };
    },
    cells: () => new Set(told.cells().keys()),
    settled: async () => {
      while (isAsked) await working;
      await working;
    },
  };
}

/** One of ours. */
interface Here extends Located {
  guid: string;
}

function locatedOf({ record }: Copy): Here[] {
  const { launch, placement, state, routable } = record;
  if (launch === null || launch.address.network === null) return [];
  const { appGuid, processType, taskName } = placement.runSpec;
  return [
    {
      guid: placement.guid,
      appGuid,
      processType,
      index: placement.index,
      address: launch.address.host,
      isHealthy: state === 'RUNNING' && routable && taskName === undefined,
    },
  ];
}
