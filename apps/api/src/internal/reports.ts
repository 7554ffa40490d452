/**
 * What agents say of their copies; they alone write it (foundations.md 2). A report says of each copy it names all that is so, hence the newest one counts:
 * by its sequence within a session, and the newest session of a cell. Times do not order reports, since an agent's clock may jump; a generation does, as a
 * copy that was placed anew may still be reported by where it was before.
 */
import { type CopyReport, cellReport } from '@cupola/contract/internal';
import type { CopiesTable, PlacementsTable } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Selectable } from 'kysely';
import type { ApiDeps } from '../deps.ts';
import { type InternalCall, type InternalReply, readJson } from './call.ts';
import { requireSelf } from './caller.ts';
import { requireSession } from './cells.ts';
import { logCrash, recordCrash } from './crash.ts';
import { logReadiness, recordReadiness } from './readiness.ts';

type CopyRow = Selectable<CopiesTable>;
type Home = Pick<CopyRow, 'space_guid' | 'organization_guid'>;

export async function takeReport(call: InternalCall): Promise<InternalReply> {
  const { store, log } = call.deps;
  const cellId = call.params.cellId ?? '';
  requireSelf(call.caller, { role: 'agent', id: cellId });
  const report = await readJson(call, cellReport);
  const news = await store.mutate(async mutation => {
    const applied = await requireSession(mutation.db, cellId, report.session);
    // Heard before; its answer was lost.
    if (report.sequence <= applied) return [];
    await mutation.db
      .updateTable('cells')
      .set({ report_sequence: report.sequence })
      .where('cell_id', '=', cellId)
      .execute();
    return applyCopies(mutation, report.copies, cellId);
  });
  for (const tell of news)
    await tell(call.deps).catch((error: unknown) =>
      log.warn({ err: error }, 'a crash or a change of readiness is not in the app log'),
    );
  return { status: 204 };
}

/** Tells in its app's log what has been recorded. */
type Tell = (deps: Pick<ApiDeps, 'logs' | 'now'>) => Promise<void>;

/**
 * Answers what is told of for the first time. One report may name a copy twice: its crash, and what it has become by now.
 */
async function applyCopies(mutation: Mutation, copies: readonly CopyReport[], cellId: string): Promise<Tell[]> {
  if (copies.length === 0) return [];
  const guids = copies.map(({ guid }) => guid);
  const rows = await mutation.db.selectFrom('copies').selectAll().where('guid', 'in', guids).execute();
  const before = new Map<string, CopyRow>(rows.map(row => [row.guid, row]));
  const places = await readPlaces(mutation, guids);
  const homes = await readHomes(mutation, copies);
  const news: Tell[] = [];
  for (const said of copies) {
    const known = before.get(said.guid);
    const place = places.get(said.guid);
    if (!isOwn({ cellId, place, before: known })) continue;
    const copy = ofItsProcess(said, place, known);
    const home = place ?? homes.get(copy.appGuid) ?? known;
    const row = await applyCopy(mutation, { copy, before: known, home, cellId });
    if (row === null) before.delete(copy.guid);
    else before.set(copy.guid, row);
    // What is not wanted (any more) holds room until it is GONE, and tells an app's owner nothing.
    if (row === null || place === undefined) continue;
    const crash = isNewCrash(row, known) ? await recordCrash(mutation, { copy, cellId }) : null;
    if (crash !== null) news.push(deps => logCrash(deps, crash));
    const change = isNewReadiness(row, known) ? await recordReadiness(mutation, { copy, cellId }) : null;
    if (change !== null) news.push(deps => logReadiness(deps, change));
  }
  return news;
}

type Place = Pick<
  PlacementsTable,
  'guid' | 'cell_id' | 'process_guid' | 'app_guid' | 'space_guid' | 'organization_guid'
>;

async function readPlaces({ db }: Mutation, guids: readonly string[]): Promise<Map<string, Place>> {
  const rows = await db
    .selectFrom('placements')
    .select(['guid', 'cell_id', 'process_guid', 'app_guid', 'space_guid', 'organization_guid'])
    .where('guid', 'in', guids)
    .execute();
  return new Map(rows.map(row => [row.guid, row]));
}

/** A cell speaks for what is placed there, for what it has told of before, and for what nobody knows: never for what is another's. */
function isOwn({
  cellId,
  place,
  before,
}: {
  cellId: string;
  place: Place | undefined;
  before: CopyRow | undefined;
}): boolean {
  return place?.cell_id === cellId || before?.cell_id === cellId || (place === undefined && before === undefined);
}

/** Whose copy it is says its placement, or what was known of it: an agent's word would let a cell speak of any app. */
function ofItsProcess(copy: CopyReport, place: Place | undefined, before: CopyRow | undefined): CopyReport {
  const known = place ?? before;
  return known === undefined ? copy : { ...copy, processGuid: known.process_guid, appGuid: known.app_guid };
}

/** By app. */
async function readHomes({ db }: Mutation, copies: readonly CopyReport[]): Promise<Map<string, Home>> {
  const apps = await db
    .selectFrom('apps')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .select(['apps.guid', 'apps.space_guid', 'spaces.organization_guid'])
    .where('apps.guid', 'in', [...new Set(copies.map(({ appGuid }) => appGuid))])
    .execute();
  return new Map(apps.map(app => [app.guid, app]));
}

interface Told {
  copy: CopyReport;
  before: CopyRow | undefined;
  /** Undefined: its app is gone, and nobody knew of the copy. */
  home: Home | undefined;
  cellId: string;
}

/** Answers the copy as it is known from now on; null: it is not. */
async function applyCopy(mutation: Mutation, { copy, before, home, cellId }: Told): Promise<CopyRow | null> {
  const { db, changed } = mutation;
  if (before !== undefined && copy.generation < before.generation) return before;
  const scope = { organizationGuid: home?.organization_guid ?? null, spaceGuid: home?.space_guid ?? null };
  if (copy.state === 'GONE') {
    if (before === undefined) return null;
    await db.deleteFrom('copies').where('guid', '=', copy.guid).execute();
    changed('copy', copy.guid, scope);
    return null;
  }
  // What still runs of a deleted app holds room on its cell until it is GONE, so it is written down all the same.
  const row = toRow(copy, home ?? { space_guid: '', organization_guid: '' }, cellId);
  if (before !== undefined && isSame(row, before)) return before;
  const { guid, ...values } = row;
  await db
    .insertInto('copies')
    .values(row)
    .onConflict(conflict => conflict.column('guid').doUpdateSet(values))
    .execute();
  changed('copy', guid, scope);
  return row;
}

/**
 * A crash that is answered at once with a start may be told of only when that start is under way: STARTING, one attempt further, with the exit of the last.
 * So what counts is which attempt has ended; a start that never ran the app's code is an attempt too, but leaves exit and count as they were.
 */
function isNewCrash(told: CopyRow, before: CopyRow | undefined): boolean {
  if (told.exit_json === null || told.crash_count === 0) return false;
  const known = before?.generation === told.generation ? before : undefined;
  if (endedAttempt(told) <= (known === undefined ? 0 : endedAttempt(known))) return false;
  return told.state === 'CRASHED' || told.crash_count !== known?.crash_count || told.exit_json !== known.exit_json;
}

/** Only while it runs: one that stops or has crashed leaves the routes anyway. */
function isNewReadiness(told: CopyRow, before: CopyRow | undefined): boolean {
  return told.state === 'RUNNING' && told.routable !== (before?.state === 'RUNNING' ? before.routable : 0);
}

function endedAttempt({ state, attempt }: CopyRow): number {
  return state === 'CRASHED' ? attempt : attempt - 1;
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
    applied_change: copy.appliedChange ?? null,
  };
}
