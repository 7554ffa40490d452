/**
 * What the instances of this cell reach of each other. Policies and internal names come by a watch of the API and are kept on disk, so that they count while
 * it is away; where instances are this cell knows itself. Each change of either is brought to the host's rules; names are answered as they are asked.
 */
import { join } from 'node:path';
import { type PeerItem, peerItem, type WatchLine } from '@cupola/contract/internal';
import { addressesOf, findName, type Located, namesOf, peeringsOf } from '@cupola/model/peers';
import type { Networks } from '@cupola/sandbox/networks';
import type { Logger } from 'pino';
import { z } from 'zod';
import type { Copy } from '../copies/copy.ts';
import { readSmallFile, writeSmallFile } from '../host/small-file.ts';
import type { LookedUp } from './name-server.ts';

export interface Peers {
  /** A line of the watch. */
  said(line: WatchLine<unknown>): void;
  /** Copies may have changed. Returns at once: what an app reaches of others, it reaches a moment later. */
  look(): void;
  lookUp(name: string): LookedUp;
  /** Resolves when the host has what was looked at last. */
  settled(): Promise<void>;
}

/** Ours. */
const RETRY_MS = 5_000;

interface Deps {
  networks: Pick<Networks, 'connect'>;
  folder: string;
  copies(): readonly Copy[];
  log: Logger;
  /** After rules that could not be set; `RETRY_MS` but in tests. */
  retryMs?: number;
}

export function createPeers({ networks, folder, copies, log, retryMs = RETRY_MS }: Deps): Peers {
  const told = openTold(join(folder, 'peers.json'), log);
  const located = (): Located[] => copies().flatMap(locatedOf);
  let working: Promise<void> = Promise.resolve();
  let isAsked = false;
  const connect = async (): Promise<void> => {
    isAsked = false;
    try {
      told.keep();
      await networks.connect(peeringsOf(told.policies(), located()));
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
  return {
    said: line => {
      told.hear(line);
      look();
    },
    look,
    lookUp: name => {
      const found = findName(name, told.names());
      return typeof found === 'string' ? found : addressesOf(found, located());
    },
    settled: async () => {
      while (isAsked) await working;
      await working;
    },
  };
}

type Kind<K extends PeerItem['kind']> = Extract<PeerItem, { kind: K }>;

/** What the API has told, as it is needed: names are looked up far more often than they change. */
function openTold(file: string, log: Logger) {
  const items = new Map(readItems(file).map(item => [item.guid, item]));
  const ofKind = <K extends PeerItem['kind']>(kind: K): Kind<K>[] =>
    [...items.values()].filter((item): item is Kind<K> => item.kind === kind);
  const derive = () => ({
    policies: ofKind('policy'),
    names: namesOf(
      ofKind('domain').map(({ name }) => name),
      ofKind('route'),
    ),
  });
  let derived = derive();
  let isKept = true;
  const understood = (item: unknown): PeerItem[] => {
    const parsed = peerItem.safeParse(item);
    if (parsed.success) return [parsed.data];
    log.error({ issues: parsed.error.issues }, 'a network policy or an internal name was not understood');
    return [];
  };
  return {
    policies: () => derived.policies,
    names: () => derived.names,
    hear: (line: WatchLine<unknown>): void => {
      if (line.type === 'synced') return;
      if (line.type === 'snapshot') items.clear();
      if (line.type === 'remove') items.delete(line.guid);
      const come = line.type === 'snapshot' ? line.items : line.type === 'upsert' ? [line.item] : [];
      for (const item of come.flatMap(understood)) items.set(item.guid, item);
      derived = derive();
      isKept = false;
    },
    keep: (): void => {
      if (isKept) return;
      writeSmallFile(file, JSON.stringify([...items.values()]));
      isKept = true;
    },
  };
}

/** None of what is lost or was written by another version: the watch tells all of it again. */
function readItems(file: string): PeerItem[] {
  try {
    return z.array(peerItem).parse(JSON.parse(readSmallFile(file) ?? '[]'));
  } catch {
    return [];
  }
}

function locatedOf({ record }: Copy): Located[] {
  const { launch, placement, state, routable } = record;
  if (launch === null || launch.address.network === null) return [];
  const { appGuid, processType, taskName } = placement.runSpec;
  return [
    {
      appGuid,
      processType,
      index: placement.index,
      address: launch.address.host,
      isHealthy: state === 'RUNNING' && routable && taskName === undefined,
    },
  ];
}
