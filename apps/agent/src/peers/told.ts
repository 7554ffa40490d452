/** What the API has told of who reaches whom, as it is needed: names are looked up far more often than they change. Kept on disk. */
import { type PeerItem, peerItem, type WatchLine } from '@cupola/contract/internal';
import { namesOf } from '@cupola/model/peers';
import type { Logger } from 'pino';
import { z } from 'zod';
import { readSmallFile, writeSmallFile } from '../host/small-file.ts';

type Kind<K extends PeerItem['kind']> = Extract<PeerItem, { kind: K }>;

/** One that was withdrawn ends what it has begun, and may ask others for it: as long as a stop takes, and its news (ours). */
const LEAVING_MS = 30_000;

export type Told = ReturnType<typeof openTold>;

export function openTold(file: string, { monotonic, log }: { monotonic(): number; log: Logger }) {
  const leaving = new Map<string, { instance: Kind<'instance'>; atMs: number }>();
  const items = new Map(readItems(file).map(item => [item.guid, item]));
  const ofKind = <K extends PeerItem['kind']>(kind: K): Kind<K>[] =>
    [...items.values()].filter((item): item is Kind<K> => item.kind === kind);
  const derive = () => ({
    policies: ofKind('policy'),
    names: namesOf(
      ofKind('domain').map(({ name }) => name),
      ofKind('route'),
    ),
    instances: new Map(ofKind('instance').map(one => [one.guid, one])),
    cells: new Map(ofKind('cell').map(one => [one.guid, one])),
  });
  let derived = derive();
  let isKept = true;
  const understood = (item: unknown): PeerItem[] => {
    const parsed = peerItem.safeParse(item);
    if (parsed.success) return [parsed.data];
    log.error({ issues: parsed.error.issues }, 'a network policy or an internal name was not understood');
    return [];
  };
  const forget = (guid: string): void => {
    const instance = derived.instances.get(guid);
    const atMs = monotonic();
    for (const [left, each] of leaving) if (atMs - each.atMs >= LEAVING_MS) leaving.delete(left);
    if (instance !== undefined) leaving.set(guid, { instance, atMs });
    items.delete(guid);
  };
  return {
    policies: () => derived.policies,
    names: () => derived.names,
    /** Of all machines, by guid. */
    instances: (): ReadonlyMap<string, Kind<'instance'>> => derived.instances,
    /** Also one that was withdrawn a moment ago. */
    instanceOrLeaving: (guid: string): Kind<'instance'> | undefined => {
      const known = derived.instances.get(guid);
      const left = leaving.get(guid);
      return known ?? (left !== undefined && monotonic() - left.atMs < LEAVING_MS ? left.instance : undefined);
    },
    cells: (): ReadonlyMap<string, Kind<'cell'>> => derived.cells,
    hear: (line: WatchLine<unknown>): void => {
      if (line.type === 'synced') return;
      if (line.type === 'snapshot') items.clear();
      if (line.type === 'remove') forget(line.guid);
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
