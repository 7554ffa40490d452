/** Cells with what is placed and what runs there: for the operator's own commands, for `GET /v3/cluster` and for the stream. Three queries, however many cells. */
import type { ClusterCell } from '@cupola/contract/v3/cluster';
import type { Database } from '@cupola/store/schema';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import { isoTime } from '../http/iso-time.ts';
import { among } from '../pages/filters.ts';

/** As an agent of any version has told it: the row stays until it registers again. */
const told = z.object({
  rung: z.string().default('unknown'),
  enforced: z.record(z.string(), z.boolean()).default({}),
  missing: z.array(z.string()).default([]),
});
const stacks = z.array(z.looseObject({ name: z.string() }));

/** @param only ids; null: all. */
export async function readCells(db: Kysely<Database>, only: readonly string[] | null) {
  const rows = await db
    .selectFrom('cells')
    .leftJoin('cell_heartbeats', 'cell_heartbeats.cell_id', 'cells.cell_id')
    .select(['cells.cell_id', 'cells.name', 'cells.zone', 'cells.state', 'cells.rung_json', 'cells.stacks_json'])
    .select(['cells.capacity_memory_mb', 'cells.drained_at', 'cells.lost_at', 'cells.segment', 'cell_heartbeats.at'])
    .$if(only !== null, query => query.where(among('cells.cell_id', only ?? [])))
    .orderBy('cells.cell_id')
    .execute();
  const held = await db
    .selectFrom('placements')
    .select(({ fn }) => ['cell_id', fn.countAll<number>().as('copies'), fn.sum<number>('memory_mb').as('memoryMb')])
    .$if(only !== null, query => query.where(among('cell_id', only ?? [])))
    .groupBy('cell_id')
    .execute();
  // Of processes: what is still being stopped there too, since an emptied machine may be switched off; not one that has crashed.
  const running = await db
    .selectFrom('copies')
    .select(({ fn }) => ['cell_id', fn.countAll<number>().as('copies')])
    .where('state', 'not in', ['CRASHED', 'GONE'])
    .$if(only !== null, query => query.where(among('cell_id', only ?? [])))
    .groupBy('cell_id')
    .execute();
  const heldBy = new Map(held.map(({ cell_id, ...sums }) => [cell_id, sums]));
  const runningOn = new Map(running.map(({ cell_id, copies }) => [cell_id, copies]));
  return rows.map(({ cell_id: cellId, name, zone, state, rung_json, stacks_json, at, ...row }) => ({
    cellId,
    name,
    zone,
    state,
    rung: JSON.parse(rung_json) as unknown,
    stacks: stacks.parse(JSON.parse(stacks_json)),
    heardAtMs: at,
    segment: row.segment,
    drainedAtMs: row.drained_at,
    lostAtMs: row.lost_at,
    memoryMb: row.capacity_memory_mb,
    placedMemoryMb: heldBy.get(cellId)?.memoryMb ?? 0,
    placedCopies: heldBy.get(cellId)?.copies ?? 0,
    copies: runningOn.get(cellId) ?? 0,
  }));
}
type Cell = Awaited<ReturnType<typeof readCells>>[number];

export function presentCell(cell: Cell): ClusterCell {
  const { rung, enforced, missing } = told.parse(cell.rung);
  return {
    guid: cell.cellId,
    name: cell.name,
    zone: cell.zone,
    isolation_segment: cell.segment,
    state: cell.state,
    stacks: cell.stacks.map(({ name }) => name),
    sandbox: { name: rung, enforced, missing },
    memory_in_mb: { capacity: cell.memoryMb, placed: cell.placedMemoryMb },
    instances: { placed: cell.placedCopies, running: cell.copies },
    heard_at: timeOrNull(cell.heardAtMs),
    drained_at: timeOrNull(cell.drainedAtMs),
    lost_at: timeOrNull(cell.lostAtMs),
  };
}

export const timeOrNull = (ms: number | null): string | null => (ms === null ? null : isoTime(ms));
