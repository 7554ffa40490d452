/**
 * What agents say of their copies. Agents alone write it (foundations.md 2). A report is whole for each copy it names, so that applying one twice, or late,
 * changes nothing: what is older than what is known is left out.
 */
import { type CopyReport, cellReport } from '@cupola/contract/internal';
import type { CopiesTable } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Selectable } from 'kysely';
import { type InternalCall, type InternalReply, readJson } from './call.ts';
import { requireSession } from './cells.ts';
import { type Crash, logCrash, recordCrash } from './crash.ts';

type CopyRow = Selectable<CopiesTable>;
interface Home {
  space_guid: string;
  organization_guid: string;
}

export async function takeReport(call: InternalCall): Promise<InternalReply> {
  const cellId = call.params.cellId ?? '';
  const report = await readJson(call, cellReport);
  const crashes = await call.deps.store.mutate(async mutation => {
    const { db } = mutation;
    const applied = await requireSession(mutation, cellId, report.session);
    if (report.sequence <= applied) return [];
    const guids = report.copies.map(({ guid }) => guid);
    const known = await db.selectFrom('copies').selectAll().where('guid', 'in', guids).execute();
    const homes = await readHomes(mutation, report.copies);
    const found: Crash[] = [];
    for (const copy of report.copies) {
      const before = known.find(({ guid }) => guid === copy.guid);
      const home = before ?? homes.get(copy.appGuid);
      // Its app is gone and nobody knew of it: there is nobody to tell.
      if (home === undefined) continue;
      const crash = await applyCopy(mutation, { copy, before, home, cellId });
      if (crash !== null) found.push(crash);
    }
    await db.updateTable('cells').set({ report_sequence: report.sequence }).where('cell_id', '=', cellId).execute();
    return found;
  });
  for (const crash of crashes) await logCrash(call.deps, crash);
  return { status: 204 };
}

async function readHomes({ db }: Mutation, copies: readonly CopyReport[]): Promise<Map<string, Home>> {
  const guids = [...new Set(copies.map(({ appGuid }) => appGuid))];
  if (guids.length === 0) return new Map();
  const rows = await db
    .selectFrom('apps')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .select(['apps.guid', 'apps.space_guid', 'spaces.organization_guid'])
    .where('apps.guid', 'in', guids)
    .execute();
  return new Map(rows.map(({ guid, ...home }) => [guid, home]));
}

interface Applied {
  copy: CopyReport;
  before: CopyRow | undefined;
  home: Home;
  cellId: string;
}

/** Answers the crash that this report tells of first. */
async function applyCopy(mutation: Mutation, { copy, before, home, cellId }: Applied): Promise<Crash | null> {
  const { db, changed } = mutation;
  if (before !== undefined && isOlder(copy, before)) return null;
  const scope = { organizationGuid: home.organization_guid, spaceGuid: home.space_guid };
  const isNewCrash =
    copy.state === 'CRASHED' && copy.exit !== null && copy.crashCount > 0 && !isKnownCrash(copy, before);
  if (copy.state === 'GONE') {
    if (before === undefined) return null;
    await db.deleteFrom('copies').where('guid', '=', copy.guid).execute();
    changed('copy', copy.guid, scope);
    return null;
  }
  const row = toRow(copy, home, cellId);
  if (before !== undefined && isSame(row, before)) return null;
  await db
    .insertInto('copies')
    .values(row)
    .onConflict(conflict => conflict.column('guid').doUpdateSet(row))
    .execute();
  changed('copy', copy.guid, scope);
  if (!isNewCrash) return null;
  const crash: Crash = { copy, cellId, scope };
  await recordCrash(mutation, crash);
  return crash;
}

function isOlder(copy: CopyReport, before: CopyRow): boolean {
  if (copy.generation !== before.generation) return copy.generation < before.generation;
  if (copy.attempt !== before.attempt) return copy.attempt < before.attempt;
  return copy.sinceMs < before.since;
}

function isKnownCrash(copy: CopyReport, before: CopyRow | undefined): boolean {
  return before?.state === 'CRASHED' && before.attempt === copy.attempt && before.generation === copy.generation;
}

function isSame(row: CopyRow, before: CopyRow): boolean {
  return (Object.keys(row) as Array<keyof CopyRow>).every(column => row[column] === before[column]);
}

function toRow(copy: CopyReport, home: Home, cellId: string): CopyRow {
  return {
    guid: copy.guid,
    generation: copy.generation,
    process_guid: copy.processGuid,
    app_guid: copy.appGuid,
    space_guid: home.space_guid,
    organization_guid: home.organization_guid,
    index_number: copy.index,
    run_spec_guid: copy.runSpecGuid,
    cell_id: cellId,
    state: copy.state,
    attempt: copy.attempt,
    host: copy.address?.host ?? null,
    port: copy.address?.port ?? null,
    routable: copy.routable ? 1 : 0,
    crash_count: copy.crashCount,
    restart_at: copy.restartAtMs,
    since: copy.sinceMs,
    exit_json: copy.exit === null ? null : JSON.stringify(copy.exit),
    placement_error: copy.placementError,
  };
}
