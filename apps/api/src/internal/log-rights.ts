/**
 * Of which apps a cell may write lines: those that it is to run, or still has. What an instance has said last may come when it is gone from the store, so a
 * cell is heard for a while longer; an API that was asked by nobody before knows of no such while, and drops such lines.
 */
import type { Database } from '@cupola/store/schema';
import type { Kysely } from 'kysely';
import { inChunks } from './views/in-chunks.ts';

export interface LogRights {
  /** Those of the apps that the cell may write lines of. */
  ofCell(cellId: string, appGuids: ReadonlySet<string>): Promise<ReadonlySet<string>>;
}

/** An instance is stopped within this, and what it said is sent (ours). */
const LINGER_MS = 600_000;
/** For so long it is not asked again (ours). */
const SURE_MS = 10_000;

export function createLogRights({ read, monotonic }: { read: Kysely<Database>; monotonic: () => number }): LogRights {
  /** When each app was last seen on a cell, by both. */
  const seen = new Map<string, number>();
  let sweptMs = monotonic();
  const sweep = (now: number): void => {
    if (now - sweptMs < LINGER_MS) return;
    sweptMs = now;
    for (const [key, atMs] of seen) if (now - atMs >= LINGER_MS) seen.delete(key);
  };
  const isWithin = (key: string, now: number, ms: number): boolean => now - (seen.get(key) ?? -Infinity) < ms;
  return {
    ofCell: async (cellId, appGuids) => {
      const now = monotonic();
      sweep(now);
      const keyOf = (appGuid: string): string => `${cellId} ${appGuid}`;
      const asked = [...appGuids].filter(guid => !isWithin(keyOf(guid), now, SURE_MS));
      for (const guid of await appsOn(read, cellId, asked)) seen.set(keyOf(guid), now);
      return new Set([...appGuids].filter(guid => isWithin(keyOf(guid), now, LINGER_MS)));
    },
  };
}

async function appsOn(read: Kysely<Database>, cellId: string, guids: readonly string[]): Promise<string[]> {
  const rows = await inChunks(guids, some =>
    read
      .selectFrom('placements')
      .select('app_guid')
      .where('cell_id', '=', cellId)
      .where('app_guid', 'in', some)
      .union(read.selectFrom('copies').select('app_guid').where('cell_id', '=', cellId).where('app_guid', 'in', some))
      .execute(),
  );
  return rows.map(({ app_guid }) => app_guid);
}
