/** Cells: they register, keep their lease by a counter, and are told what to run. The newest session of a cell wins; an older one gets 409. */

import { MEMBER_DAYS } from '@cupola/certificates/members/names';
import {
  type CellRegistration,
  cellDrain,
  type cellHeard,
  cellHeartbeat,
  cellRegistration,
} from '@cupola/contract/internal';
import { FencedError, NotFoundError } from '@cupola/model/errors';
import type { Database } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Kysely } from 'kysely';
import type { z } from 'zod';
import { wishDrain } from '../cluster/drain.ts';
import { readCells } from '../cluster/read-cells.ts';
import { knowStacks } from '../stacks/know-stacks.ts';
import { type InternalCall, type InternalReply, readJson } from './call.ts';
import { requireSelf } from './caller.ts';

export async function registerCell(call: InternalCall): Promise<InternalReply> {
  const cell = await readJson(call, cellRegistration);
  requireSelf(call.caller, { role: 'agent', id: cell.cellId });
  const fence = await call.deps.store.mutate(mutation => register(mutation, cell));
  return { status: 200, json: { fence } };
}

async function register(mutation: Mutation, cell: CellRegistration): Promise<number> {
  const { db, now, changed } = mutation;
  const known = await db
    .selectFrom('cells')
    .select(['fence', 'session', 'report_sequence'])
    .where('cell_id', '=', cell.cellId)
    .executeTakeFirst();
  const isNewSession = known?.session !== cell.session;
  const row = {
    name: cell.name,
    zone: cell.zone,
    session: cell.session,
    fence: (known?.fence ?? 0) + 1,
    report_sequence: isNewSession ? 0 : known.report_sequence,
    stacks_json: JSON.stringify(cell.stacks),
    rung_json: JSON.stringify(cell.rung),
    capacity_memory_mb: cell.capacity.memoryMb,
    capacity_disk_mb: cell.capacity.diskMb,
    capacity_copies: cell.capacity.copies,
    registered_at: now,
    segment: cell.segment ?? null,
    forward_host: cell.forward?.host ?? null,
    forward_port: cell.forward?.port ?? null,
  };
  // Its state is the scheduler's to judge: a cell that was lost is taken back once its lease moves.
  await db
    .insertInto('cells')
    .values({ cell_id: cell.cellId, state: 'ACTIVE', lost_at: null, drained_at: null, ...row })
    .onConflict(conflict => conflict.column('cell_id').doUpdateSet(row))
    .execute();
  changed('cell', cell.cellId);
  await knowStacks(mutation, cell.stacks);
  if (isNewSession) await forgetUnwanted(mutation, cell.cellId);
  return row.fence;
}

/**
 * Copies that the cell is not to run any more. Its agent is a new one and reports what it still has of them; what it has lost with its memory or its
 * machine it would never report as GONE.
 */
async function forgetUnwanted({ db, changed }: Mutation, cellId: string): Promise<void> {
  const gone = await db
    .deleteFrom('copies')
    .where('cell_id', '=', cellId)
    .where('guid', 'not in', db.selectFrom('placements').select('guid').where('cell_id', '=', cellId))
    .returning(['guid', 'organization_guid', 'space_guid'])
    .execute();
  for (const { guid, organization_guid, space_guid } of gone)
    changed('copy', guid, { organizationGuid: organization_guid, spaceGuid: space_guid });
}

/** Not on the feed: who judges leases reads the counter. Answers who is not to be heard any more ({@link cellHeard}). */
export async function heartbeat(call: InternalCall): Promise<InternalReply> {
  const cellId = call.params.cellId ?? '';
  requireSelf(call.caller, { role: 'agent', id: cellId });
  const { session, counter, usage } = await readJson(call, cellHeartbeat);
  const removed = await call.deps.store.note(async ({ db, now }) => {
    await requireSession(db, cellId, session);
    const row = { session, counter, usage_json: JSON.stringify(usage), at: now };
    await db
      .insertInto('cell_heartbeats')
      .values({ cell_id: cellId, ...row })
      .onConflict(conflict => conflict.column('cell_id').doUpdateSet(row))
      .execute();
    return removedSince(db, now - MEMBER_DAYS * DAY_MS);
  });
  call.deps.figures.usage(cellId, usage);
  return { status: 200, json: { removed } satisfies z.infer<typeof cellHeard> };
}

const DAY_MS = 86_400_000;

/** Earlier ones have run out. */
async function removedSince(db: Kysely<Database>, sinceMs: number): Promise<string[]> {
  const rows = await db.selectFrom('members').select('id').where('removed_at', '>=', sinceMs).execute();
  return rows.map(({ id }) => id);
}

/**
 * Answers the sequence of the newest report of that session.
 * @throws FencedError for a session that is not the newest, NotFoundError for a cell that is not known (any more): it registers again.
 */
export async function requireSession(db: Kysely<Database>, cellId: string, session: string): Promise<number> {
  const cell = await db
    .selectFrom('cells')
    .select(['session', 'report_sequence'])
    .where('cell_id', '=', cellId)
    .executeTakeFirst();
  if (cell === undefined) throw new NotFoundError('Cell');
  if (cell.session !== session) throw new FencedError('This cell');
  return cell.report_sequence;
}

/** @throws NotFoundError: an unknown cell has no view, and must not take an empty one for the truth. */
export async function requireCell({ deps, params }: InternalCall): Promise<string> {
  const cellId = params.cellId ?? '';
  const known = await deps.store.read
    .selectFrom('cells')
    .select('cell_id')
    .where('cell_id', '=', cellId)
    .executeTakeFirst();
  if (known === undefined) throw new NotFoundError('Cell');
  return cellId;
}

export async function drainCell(call: InternalCall): Promise<InternalReply> {
  const { drain } = await readJson(call, cellDrain);
  await call.deps.store.mutate(mutation => wishDrain(mutation, call.params.cellId ?? '', drain));
  return { status: 204 };
}

/** For `doctor`, `status` and `cells`. */
export async function listCells({ deps }: InternalCall): Promise<InternalReply> {
  return { status: 200, json: { cells: await readCells(deps.store.read, null) } };
}
