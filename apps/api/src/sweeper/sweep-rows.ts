/** Retention of rows (failure-rules.md section 4): what goes, in batches. Never what is current, being staged, or running. */
import { RETENTION } from '@cupola/model/limits';
import type { Mutation } from '@cupola/store/store';
import { sql } from 'kysely';
import { forgetBuild } from '../builds/forget-build.ts';
import { readHomes } from '../pages/homes.ts';
import type { SweepDeps } from './sweeper.ts';

/** Of one task in one pass: some milliseconds of the writer. */
const BATCH = 500;
const DAY_MS = 86_400_000;
/** As in CF. */
const EVENTS_KEPT_MS = 31 * DAY_MS;
/** A file of a package that is gone is still matched by the next push of that organization, for this long (ours: `cf delete`, then `cf push`). */
const RESOURCES_KEPT_MS = DAY_MS;

/** READY packages beyond the newest of each app, but not that of its current droplet, nor of a build. They stay as EXPIRED, as in CF. */
export async function expirePackages({ store }: SweepDeps): Promise<number> {
  return store.mutate(async mutation => {
    const { rows } = await sql<{ guid: string }>`
      select guid from (
        select packages.guid, row_number() over (partition by packages.app_guid order by packages.created_at desc, packages.guid desc) as rank
        from packages
        where packages.state = 'READY'
          and packages.guid not in (select package_guid from builds where state = 'STAGING')
          and packages.guid not in (
            select droplets.package_guid from droplets join apps on apps.current_droplet_guid = droplets.guid where droplets.package_guid is not null)
      ) as ranked where rank > ${RETENTION.packages} limit ${BATCH}`.execute(mutation.db);
    return expire(mutation, 'packages', rows);
  });
}

/** STAGED droplets beyond the newest of each app, but neither the current one nor one that is running or about to run. */
export async function expireDroplets({ store }: SweepDeps): Promise<number> {
  return store.mutate(async mutation => {
    const { rows } = await sql<{ guid: string }>`
      select guid from (
        select droplets.guid, row_number() over (partition by droplets.app_guid order by droplets.created_at desc, droplets.guid desc) as rank
        from droplets
        where droplets.state = 'STAGED'
          and droplets.guid not in (select current_droplet_guid from apps where current_droplet_guid is not null)
          and droplets.guid not in (
            select run_specs.droplet_guid from run_specs where run_specs.guid in (select run_spec_guid from processes where run_spec_guid is not null)
              or run_specs.guid in (select run_spec_guid from tasks where ended_at is null)
              or run_specs.guid in (select run_spec_guid from placements) or run_specs.guid in (select run_spec_guid from copies))
      ) as ranked where rank > ${RETENTION.droplets} limit ${BATCH}`.execute(mutation.db);
    return expire(mutation, 'droplets', rows);
  });
}

async function expire(
  { db, now, changed }: Mutation,
  table: 'packages' | 'droplets',
  rows: ReadonlyArray<{ guid: string }>,
): Promise<number> {
  const guids = rows.map(({ guid }) => guid);
  if (guids.length === 0) return 0;
  const row = { state: 'EXPIRED' as const, updated_at: now };
  if (table === 'packages')
    await db
      .updateTable('packages')
      .set({ ...row, digest: null })
      .where('guid', 'in', guids)
      .execute();
  else await db.updateTable('droplets').set(row).where('guid', 'in', guids).execute();
  for (const guid of guids) changed(table === 'packages' ? 'package' : 'droplet', guid);
  return guids.length;
}

/** Builds that have ended, beyond the newest of each app. Their droplets stay. */
export async function forgetBuilds({ store }: SweepDeps): Promise<number> {
  return store.mutate(async ({ db, changed }) => {
    const { rows } = await sql<{ guid: string }>`
      select guid from (
        select guid, row_number() over (partition by app_guid order by created_at desc, guid desc) as rank
        from builds where state <> 'STAGING' and adopted = 1
      ) as ranked where rank > ${RETENTION.builds} limit ${BATCH}`.execute(db);
    const guids = rows.map(({ guid }) => guid);
    if (guids.length === 0) return 0;
    for (const table of ['labels', 'annotations'] as const)
      await db.deleteFrom(table).where('kind', '=', 'build').where('resource_guid', 'in', guids).execute();
    const homes = await readHomes(db, 'builds', guids);
    await db.deleteFrom('builds').where('guid', 'in', guids).execute();
    for (const guid of guids) changed('build', guid, homes.get(guid));
    return guids.length;
  });
}

/** Builds that nobody asked for and the outbox has not dropped: nothing of us ran for a day. */
export async function forgetUnadopted({ store, logs }: SweepDeps): Promise<number> {
  const gone = await store.mutate(async mutation => {
    const old = await mutation.db
      .selectFrom('builds')
      .select('guid')
      .where('adopted', '=', 0)
      .where('created_at', '<', mutation.now - DAY_MS)
      .limit(BATCH)
      .execute();
    for (const { guid } of old) await forgetBuild(mutation, guid);
    return old;
  });
  for (const { guid } of gone) await logs.remove(guid);
  return gone.length;
}

export async function forgetJobs({ store }: SweepDeps): Promise<number> {
  return store.mutate(async ({ db, now, changed }) => {
    const old = db
      .selectFrom('jobs')
      .select('guid')
      .where('created_at', '<', now - RETENTION.jobsMs)
      .limit(BATCH);
    const gone = await db.deleteFrom('jobs').where('guid', 'in', old).returning('guid').execute();
    for (const { guid } of gone) changed('job', guid);
    return gone.length;
  });
}

/** Refresh tokens that are over: a family that was ended early is remembered as long as its last token could have lived. */
export async function forgetTokens({ store }: SweepDeps): Promise<number> {
  return store.note(async ({ db, now }) => {
    const over = db.selectFrom('refresh_tokens').select('token_hash').where('expires_at', '<', now).limit(BATCH);
    const { numDeletedRows } = await db.deleteFrom('refresh_tokens').where('token_hash', 'in', over).executeTakeFirst();
    return Number(numDeletedRows);
  });
}

export async function forgetEvents({ store }: SweepDeps): Promise<number> {
  return store.note(async ({ db, now }) => {
    const old = db
      .selectFrom('audit_events')
      .select('guid')
      .where('created_at', '<', now - EVENTS_KEPT_MS)
      .orderBy('created_at')
      .limit(BATCH);
    const { numDeletedRows } = await db.deleteFrom('audit_events').where('guid', 'in', old).executeTakeFirst();
    return Number(numDeletedRows);
  });
}

/** Usage events are kept as long, as in CF. */
export async function forgetUsageEvents({ store }: SweepDeps): Promise<number> {
  return store.note(async ({ db, now }) => {
    const old = db
      .selectFrom('usage_events')
      .select('guid')
      .where('created_at', '<', now - EVENTS_KEPT_MS)
      .orderBy('created_at')
      .limit(BATCH);
    const { numDeletedRows } = await db.deleteFrom('usage_events').where('guid', 'in', old).executeTakeFirst();
    return Number(numDeletedRows);
  });
}

/** Where a file lies, of packs that no package has any more. */
export async function forgetResources({ store }: SweepDeps): Promise<number> {
  return store.note(async ({ db, now }) => {
    const { rows } = await sql<{ blob_digest: string }>`
      select blob_digest from resources group by blob_digest
      having max(seen_at) < ${now - RESOURCES_KEPT_MS} and blob_digest not in (select digest from packages where digest is not null)
      limit ${BATCH}`.execute(db);
    const digests = rows.map(({ blob_digest }) => blob_digest);
    if (digests.length === 0) return 0;
    const { numDeletedRows } = await db.deleteFrom('resources').where('blob_digest', 'in', digests).executeTakeFirst();
    return Number(numDeletedRows);
  });
}
