/** Cells: they register, keep their lease by a counter, and are told what to run. The newest session of a cell wins; an older one gets 409. */
import { cellHeartbeat, cellRegistration } from '@cupola/contract/internal';
import { FencedError, NotFoundError } from '@cupola/model/errors';
import type { Mutation } from '@cupola/store/store';
import { type InternalCall, type InternalReply, readJson } from './call.ts';

export async function registerCell(call: InternalCall): Promise<InternalReply> {
  const cell = await readJson(call, cellRegistration);
  const fence = await call.deps.store.mutate(async ({ db, now, changed }) => {
    const known = await db
      .selectFrom('cells')
      .select(['fence', 'session'])
      .where('cell_id', '=', cell.cellId)
      .executeTakeFirst();
    const row = {
      name: cell.name,
      zone: cell.zone,
      session: cell.session,
      fence: (known?.fence ?? 0) + 1,
      report_sequence: 0,
      stacks_json: JSON.stringify(cell.stacks),
      rung_json: JSON.stringify(cell.rung),
      capacity_memory_mb: cell.capacity.memoryMb,
      capacity_disk_mb: cell.capacity.diskMb,
      capacity_copies: cell.capacity.copies,
      registered_at: now,
    };
    // Its state is the scheduler's to judge: a cell that was lost is taken back once its lease moves.
    if (known === undefined)
      await db
        .insertInto('cells')
        .values({ cell_id: cell.cellId, state: 'ACTIVE', lost_at: null, ...row })
        .execute();
    else await db.updateTable('cells').set(row).where('cell_id', '=', cell.cellId).execute();
    changed('cell', cell.cellId);
    return row.fence;
  });
  return { status: 200, json: { fence } };
}

export async function heartbeat(call: InternalCall): Promise<InternalReply> {
  const cellId = call.params.cellId ?? '';
  const beat = await readJson(call, cellHeartbeat);
  await call.deps.store.note(async ({ db, now }) => {
    await requireSession({ db }, cellId, beat.session);
    const row = { session: beat.session, counter: beat.counter, usage_json: JSON.stringify(beat.usage), at: now };
    await db
      .insertInto('cell_heartbeats')
      .values({ cell_id: cellId, ...row })
      .onConflict(conflict => conflict.column('cell_id').doUpdateSet(row))
      .execute();
  });
  return { status: 204 };
}

/** @throws FencedError for a session that is not the newest, NotFoundError for a cell that is not known (any more). */
export async function requireSession({ db }: Pick<Mutation, 'db'>, cellId: string, session: string): Promise<number> {
  const cell = await db
    .selectFrom('cells')
    .select(['session', 'report_sequence'])
    .where('cell_id', '=', cellId)
    .executeTakeFirst();
  if (cell === undefined) throw new NotFoundError('Cell');
  if (cell.session !== session) throw new FencedError('This cell');
  return cell.report_sequence;
}
