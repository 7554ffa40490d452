/**
 * Builds begin in two ways: an upload's end stages ahead, and `POST /v3/builds` asks. Who asks adopts what was staged ahead, unless environment, buildpacks
 * or stack have changed since (foundations.md 11). Until adopted a build is invisible in the API and outside the rule of one STAGING build an app.
 */
import { createHash, randomUUID } from 'node:crypto';
import { UnprocessableError } from '@cupola/model/errors';
import { STAGING_LIMITS } from '@cupola/model/limits';
import type { BuildsTable } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Selectable } from 'kysely';
import type { Actor } from '../access/actor.ts';
import type { ScopedApp } from '../apps/find-app.ts';
import type { ApiDeps } from '../deps.ts';
import { urisByProcessType } from '../run-specs/fix.ts';
import { appFacts } from '../run-specs/vcap-application.ts';
import { boundServices } from '../services/vcap-services.ts';

export type BuildRow = Selectable<BuildsTable>;
type Deps = Pick<ApiDeps, 'sealer' | 'config'>;

/** Titles of builds that ended by no fault of what was pushed. */
const OUR_FAULTS = ['StagerError', 'StagingTimeExpired'];

export interface Asked {
  app: ScopedApp;
  packageGuid: string;
  actor: Actor;
  /** Absent: the app's own. */
  buildpacks?: string[];
  stack?: string;
  memoryMb?: number;
  diskMb?: number;
}

/** Stages an upload before anyone asks. What was staged ahead of an older upload is of no use any more. */
export async function stageAhead(mutation: Mutation, deps: Deps, asked: Asked): Promise<void> {
  await cancelAhead(mutation, asked.app, null);
  if (asked.app.lifecycle_type !== 'buildpack') return;
  await insertBuild(mutation, await makeRow(mutation, deps, asked, { adopted: false }), asked.app);
}

/**
 * The build of `POST /v3/builds`: the one that was begun ahead, or a new one.
 * @throws UnprocessableError (StagingInProgress) while another build of the app is STAGING.
 */
export async function createBuild(mutation: Mutation, deps: Deps, asked: Asked): Promise<BuildRow> {
  const { db, now, changed } = mutation;
  const { app, actor } = asked;
  const staging = await db
    .selectFrom('builds')
    .select('guid')
    .where('app_guid', '=', app.guid)
    .where('state', '=', 'STAGING')
    .where('adopted', '=', 1)
    .executeTakeFirst();
  if (staging !== undefined)
    throw new UnprocessableError('Only one build can be STAGING at a time per application.', 'StagingInProgress');
  const row = await makeRow(mutation, deps, asked, { adopted: true });
  const ahead = await db
    .selectFrom('builds')
    .selectAll()
    .where('app_guid', '=', app.guid)
    .where('package_guid', '=', asked.packageGuid)
    .where('adopted', '=', 0)
    .where('cancelled', '=', 0)
    .where('inputs_hash', '=', row.inputs_hash)
    // What failed by our own fault is worth another try; what failed by the app's would fail again.
    .where(({ or, eb }) => or([eb('error_title', 'is', null), eb('error_title', 'not in', OUR_FAULTS)]))
    .executeTakeFirst();
  await cancelAhead(mutation, app, ahead?.guid ?? null);
  if (ahead === undefined) {
    await insertBuild(mutation, row, app);
    return row;
  }
  const adopted = {
    adopted: 1 as const,
    created_by_guid: actor.guid,
    created_by_name: actor.name,
    updated_at: now,
  };
  await db.updateTable('builds').set(adopted).where('guid', '=', ahead.guid).execute();
  changed('build', ahead.guid, { organizationGuid: app.organization_guid, spaceGuid: app.space_guid });
  return { ...ahead, ...adopted };
}

/** Its stager sees it by the watch and drops the work. A result that is there already goes with it. */
async function cancelAhead({ db, now, changed }: Mutation, app: ScopedApp, exceptGuid: string | null): Promise<void> {
  const rows = await db
    .selectFrom('builds')
    .select(['guid', 'state'])
    .where('app_guid', '=', app.guid)
    .where('adopted', '=', 0)
    .where('cancelled', '=', 0)
    .execute();
  for (const { guid, state } of rows.filter(row => row.guid !== exceptGuid)) {
    await db
      .updateTable('builds')
      .set({
        cancelled: 1,
        ...(state === 'STAGING' ? { state: 'FAILED' as const, finished_at: now } : {}),
        updated_at: now,
      })
      .where('guid', '=', guid)
      .execute();
    changed('build', guid, { organizationGuid: app.organization_guid, spaceGuid: app.space_guid });
  }
}

async function insertBuild({ db, changed }: Mutation, row: BuildRow, app: ScopedApp): Promise<void> {
  await db.insertInto('builds').values(row).execute();
  changed('build', row.guid, { organizationGuid: app.organization_guid, spaceGuid: app.space_guid });
}

async function makeRow(
  mutation: Mutation,
  deps: Deps,
  { app, packageGuid, actor, ...asked }: Asked,
  { adopted }: { adopted: boolean },
): Promise<BuildRow> {
  const { now } = mutation;
  const buildpacks = asked.buildpacks ?? (JSON.parse(app.buildpacks_json) as string[]);
  const stack = asked.stack ?? app.stack;
  const memoryMb = asked.memoryMb ?? Math.max(STAGING_LIMITS.memoryMb, await webMemoryMb(mutation, app));
  const diskMb = asked.diskMb ?? STAGING_LIMITS.diskMb;
  const given = await givenVariables(mutation, deps, app);
  const services = JSON.stringify((await boundServices(mutation.db, deps.sealer, app.guid)).vcapServices);
  return {
    guid: randomUUID(),
    created_at: now,
    updated_at: now,
    app_guid: app.guid,
    package_guid: packageGuid,
    state: 'STAGING',
    error_title: null,
    error: null,
    droplet_guid: null,
    buildpacks_json: JSON.stringify(buildpacks),
    stack,
    environment_sealed: deps.sealer.seal(
      JSON.stringify(await environmentOf(mutation, deps, { app, given, services, stack, memoryMb })),
    ),
    memory_mb: memoryMb,
    disk_mb: diskMb,
    created_by_guid: actor.guid,
    created_by_name: actor.name,
    adopted: adopted ? 1 : 0,
    inputs_hash: hashOf({ given, services, buildpacks, stack, memoryMb, diskMb }),
    cancelled: 0,
    fence: 0,
    attempts: 0,
    stager: null,
    last_stager: null,
    lease_until: null,
    finished_at: null,
  };
}

/** A build has as much as the newest web process, as with CF's Cloud Controller (app/actions/build_create.rb): who needs more for it pushes with `-m`. */
async function webMemoryMb({ db }: Mutation, { guid }: ScopedApp): Promise<number> {
  const web = await db
    .selectFrom('processes')
    .select('memory_mb')
    .where('app_guid', '=', guid)
    .where('type', '=', 'web')
    .orderBy('created_at', 'desc')
    .executeTakeFirst();
  return web?.memory_mb ?? 0;
}

/** What users set: of the staging group, then of the app. */
async function givenVariables({ db }: Mutation, { sealer }: Deps, app: ScopedApp): Promise<Record<string, string>> {
  const group = await db
    .selectFrom('environment_groups')
    .select('variables_sealed')
    .where('name', '=', 'staging')
    .executeTakeFirst();
  const open = (sealed: string): Record<string, string> => JSON.parse(sealer.open(sealed)) as Record<string, string>;
  return { ...(group === undefined ? {} : open(group.variables_sealed)), ...open(app.environment_sealed) };
}

async function environmentOf(
  { db }: Mutation,
  { config }: Deps,
  {
    app,
    given,
    services,
    stack,
    memoryMb,
  }: { app: ScopedApp; given: Record<string, string>; services: string; stack: string; memoryMb: number },
): Promise<Record<string, string>> {
  const uris = (await urisByProcessType(db, app.guid)).get('web') ?? [];
  return {
    ...given,
    VCAP_APPLICATION: JSON.stringify(appFacts(app, { apiUrl: config.publicUrl, uris })),
    VCAP_SERVICES: services,
    MEMORY_LIMIT: `${memoryMb}m`,
    CF_STACK: stack,
  };
}

/** Names in order, so that the same settings give the same hash. */
function hashOf(inputs: { given: Record<string, string> } & Record<string, unknown>): string {
  const given = Object.entries(inputs.given).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256')
    .update(JSON.stringify({ ...inputs, given }))
    .digest('hex');
}
