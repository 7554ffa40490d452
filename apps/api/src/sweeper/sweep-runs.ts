/** Retention of what was run (failure-rules.md section 4): deployments, revisions and tasks that are over, and run specs by which nothing runs any more. */
import { RETENTION } from '@cupola/model/limits';
import type { Mutation } from '@cupola/store/store';
import { sql } from 'kysely';
import { deleteMetadata } from '../metadata/metadata.ts';
import { readHomes } from '../pages/homes.ts';
import type { SweepDeps } from './sweeper.ts';

/** Of one task in one pass: some milliseconds of the writer. */
const BATCH = 500;
/** A placement decided a moment ago may still name one. */
const SPEC_KEPT_MS = 3_600_000;

/** Final ones beyond the newest of each app. */
export async function forgetDeployments({ store }: SweepDeps): Promise<number> {
  return store.mutate(async mutation => {
    const { rows } = await sql<{ guid: string }>`
      select guid from (
        select guid, row_number() over (partition by app_guid order by created_at desc, guid desc) as rank
        from deployments where status_value = 'FINALIZED'
      ) as ranked where rank > ${RETENTION.deployments} limit ${BATCH}`.execute(mutation.db);
    return forget(mutation, 'deployment', rows);
  });
}

/** Those beyond the newest of each app that no process runs. */
export async function forgetRevisions({ store }: SweepDeps): Promise<number> {
  return store.mutate(async mutation => {
    const { rows } = await sql<{ guid: string }>`
      select guid from (
        select guid, row_number() over (partition by app_guid order by created_at desc, guid desc) as rank from revisions
      ) as ranked where rank > ${RETENTION.revisions}
        and guid not in (select revision_guid from processes where revision_guid is not null) limit ${BATCH}`.execute(
      mutation.db,
    );
    return forget(mutation, 'revision', rows);
  });
}

/** Those that ended long ago; the newest of each app stays, since numbers go on from it. */
export async function forgetTasks({ store }: SweepDeps): Promise<number> {
  return store.mutate(async mutation => {
    const { rows } = await sql<{ guid: string }>`
      select guid from tasks where ended_at < ${mutation.now - RETENTION.tasksMs}
        and sequence_id < (select max(sequence_id) from tasks as other where other.app_guid = tasks.app_guid)
      limit ${BATCH}`.execute(mutation.db);
    return forget(mutation, 'task', rows);
  });
}

/** Of processes and tasks that are gone or over, once no copy runs by them. */
export async function forgetRunSpecs({ store }: SweepDeps): Promise<number> {
  return store.note(async ({ db, now }) => {
    const { rows } = await sql<{ guid: string }>`
      select guid from run_specs where created_at < ${now - SPEC_KEPT_MS}
        and process_guid not in (select guid from processes)
        and process_guid not in (select guid from tasks where ended_at is null)
        and guid not in (select run_spec_guid from placements) and guid not in (select run_spec_guid from copies)
      limit ${BATCH}`.execute(db);
    const guids = rows.map(({ guid }) => guid);
    if (guids.length > 0) await db.deleteFrom('run_specs').where('guid', 'in', guids).execute();
    return guids.length;
  });
}

async function forget(
  mutation: Mutation,
  kind: 'deployment' | 'revision' | 'task',
  rows: ReadonlyArray<{ guid: string }>,
): Promise<number> {
  const guids = rows.map(({ guid }) => guid);
  if (guids.length === 0) return 0;
  const table = `${kind}s` as const;
  const homes = kind === 'revision' ? null : await readHomes(mutation.db, `${kind}s`, guids);
  await deleteMetadata(mutation, kind, guids);
  await mutation.db.deleteFrom(table).where('guid', 'in', guids).execute();
  for (const guid of guids) mutation.changed(kind, guid, homes?.get(guid));
  return guids.length;
}
