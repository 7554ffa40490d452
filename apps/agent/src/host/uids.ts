/**
 * One user id of this machine for each app that has a copy here, so that apps cannot touch each other's files. Kept on disk: an app's layer is owned by its
 * id. An id goes to another app no sooner than 60 s after its last copy has gone, and only when all others are taken: an app that comes back finds its own
 * again, and with it its layers.
 */
import { join } from 'node:path';
import { CELL_LIMITS } from '@cupola/model/limits';
import { SandboxError } from '@cupola/sandbox/sandbox';
import { z } from 'zod';
import { readSmallFile, writeSmallFile } from './small-file.ts';

const saved = z.object({
  used: z.record(z.string(), z.number().int()),
  /** Given back at this wall time: other processes' monotonic clocks would not compare. */
  freed: z.array(z.object({ uid: z.number().int(), atMs: z.number(), appGuid: z.string().default('') })),
});

/** So many apps that have gone are remembered; the id of one before them is as good as fresh once it has rested (ours). */
const REMEMBERED_MAX = 1_000;

export interface Uids {
  /** False for an ordinary user: everything has the same id, our own, and nothing needs to be given to anybody. */
  readonly separate: boolean;
  /** The app's id, taken now if it has none. @throws SandboxError when none is left. */
  of(appGuid: string): number;
  /** Gives back what belongs to apps that have no copy here. */
  keep(appGuids: ReadonlySet<string>): void;
}

/** `range` null: an ordinary user, everything runs under our own id. */
export function openUids(options: {
  folder: string;
  range: { first: number; count: number } | null;
  now(): number;
}): Uids {
  const { folder, range, now } = options;
  if (range === null) {
    const own = process.getuid?.() ?? 0;
    return { separate: false, of: () => own, keep: () => undefined };
  }
  const file = join(folder, 'uids.json');
  const text = readSmallFile(file);
  const known = text === null ? { used: {}, freed: [] } : saved.parse(JSON.parse(text));
  const used = new Map(Object.entries(known.used));
  let freed = known.freed;

  /** A clock that was set back must not keep an id out of use for ever. */
  const hasRested = ({ atMs }: { atMs: number }): boolean => Math.abs(now() - atMs) >= CELL_LIMITS.reuseMs;
  const save = (): void => {
    const firstKept = freed.length - REMEMBERED_MAX;
    freed = freed.filter((before, at) => at >= firstKept || !hasRested(before));
    writeSmallFile(file, JSON.stringify({ used: Object.fromEntries(used), freed }));
  };
  /** One that nobody has had. */
  const fresh = (): number | undefined => {
    const taken = new Set([...used.values(), ...freed.map(({ uid }) => uid)]);
    for (let uid = range.first; uid < range.first + range.count; uid++) if (!taken.has(uid)) return uid;
    return undefined;
  };
  return {
    separate: true,
    of: appGuid => {
      const has = used.get(appGuid);
      if (has !== undefined) return has;
      const uid = freed.find(before => before.appGuid === appGuid)?.uid ?? fresh() ?? freed.find(hasRested)?.uid;
      if (uid === undefined) throw new SandboxError(`all ${range.count} user ids for apps are in use on this cell`);
      freed = freed.filter(before => before.uid !== uid);
      used.set(appGuid, uid);
      save();
      return uid;
    },
    keep: appGuids => {
      const leaving = [...used].filter(([appGuid]) => !appGuids.has(appGuid));
      if (leaving.length === 0) return;
      for (const [appGuid, uid] of leaving) {
        used.delete(appGuid);
        freed.push({ uid, atMs: now(), appGuid });
      }
      save();
    },
  };
}
