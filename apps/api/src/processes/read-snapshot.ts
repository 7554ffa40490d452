/** What the scheduler and the cells have written about some processes: a constant number of queries for a page of them. */
import { usageSample } from '@cupola/contract/internal';
import type { CopiesTable, Database } from '@cupola/store/schema';
import type { Kysely, Selectable } from 'kysely';
import { z } from 'zod';
import { inChunks } from '../internal/views/in-chunks.ts';
import { among } from '../pages/filters.ts';
import type { Instance, Snapshot } from './instances.ts';
import type { Usage } from './present-stats.ts';

export type CopyRow = Selectable<CopiesTable>;

export async function readSnapshot(db: Kysely<Database>, processGuids: readonly string[]): Promise<Snapshot<CopyRow>> {
  const placements = await inChunks(processGuids, some =>
    db
      .selectFrom('placements')
      .select(['guid', 'process_guid', 'index_number', 'run_spec_guid', 'placed_at'])
      .where(among('process_guid', some))
      .execute(),
  );
  const copies = await inChunks(processGuids, some =>
    db.selectFrom('copies').selectAll().where(among('process_guid', some)).execute(),
  );
  const errors = await inChunks(processGuids, some =>
    db.selectFrom('placement_errors').selectAll().where(among('process_guid', some)).execute(),
  );
  return { placements, copies, errors };
}

const samples = z.array(usageSample);

/** Newest measurement of each of these copies, of the last heartbeat of their cells; by the copy's guid. */
export async function readUsage(
  db: Kysely<Database>,
  instances: ReadonlyArray<Instance<CopyRow>>,
): Promise<Map<string, Usage>> {
  const cells = new Set(instances.flatMap(({ copy }) => (copy === null ? [] : [copy.cell_id])));
  const rows = await db
    .selectFrom('cell_heartbeats')
    .select('usage_json')
    .where(among('cell_id', [...cells]))
    .execute();
  const all = rows.flatMap(row => samples.parse(JSON.parse(row.usage_json)));
  return new Map(all.map(({ guid, ...usage }) => [guid, usage]));
}
