/** How a build ends: one conditional update under its fence publishes the result, so a second delivery finds it done and an old fence changes nothing. */
import { randomUUID } from 'node:crypto';
import { type BuildFinish, buildFinish, type StagedResult } from '@cupola/contract/internal';
import { FencedError, UnprocessableError } from '@cupola/model/errors';
import type { BuildsTable } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Selectable } from 'kysely';
import { recordBuildEnd } from '../builds/build-events.ts';
import type { ApiDeps } from '../deps.ts';
import { type InternalCall, type InternalReply, readJson } from './call.ts';
import { requireSelf } from './caller.ts';

type BuildRow = Selectable<BuildsTable>;

export async function finishBuild(call: InternalCall): Promise<InternalReply> {
  const { deps } = call;
  const guid = call.params.guid ?? '';
  const finish = await readJson(call, buildFinish);
  if (finish.outcome === 'staged') await requireLayers(deps, finish.result);
  await deps.store.mutate(mutation => end(mutation, call, { guid, finish }));
  await deps.queue.done(guid);
  return { status: 204 };
}

/** A droplet never names a layer that is not there. @throws UnprocessableError: the stager's next attempt stores it again. */
async function requireLayers({ blobs }: ApiDeps, { layers }: StagedResult): Promise<void> {
  for (const { digest } of layers)
    if ((await blobs.stat(digest)) === null) throw new UnprocessableError(`The layer ${digest} has not been stored`);
}

async function end(
  mutation: Mutation,
  { caller }: Pick<InternalCall, 'caller'>,
  { guid, finish }: { guid: string; finish: BuildFinish },
): Promise<void> {
  const { db, now, changed } = mutation;
  const build = await db.selectFrom('builds').selectAll().where('guid', '=', guid).executeTakeFirst();
  if (build === undefined || build.fence !== finish.fence) throw new FencedError('This build');
  if (isSaidAlready(build, finish)) return;
  // Cancelled: nobody waits for what it brings, and the outbox ends it.
  const outcome = build.cancelled === 1 ? 'lost' : finish.outcome;
  if (build.state !== 'STAGING' || build.stager === null) throw new FencedError('This build');
  requireSelf(caller, { role: 'stager', id: build.stager });
  const scope = await scopeOf(mutation, build.app_guid);
  const row = { ...(await endOf(mutation, build, finish, outcome)), stager: null, lease_until: null, updated_at: now };
  await db.updateTable('builds').set(row).where('guid', '=', guid).execute();
  await db.deleteFrom('build_heartbeats').where('build_guid', '=', guid).execute();
  changed('build', guid, scope);
  const ended = { ...build, ...row };
  if (ended.state !== 'STAGING' && ended.adopted === 1) await recordBuildEnd(mutation, ended);
}

/** The answer was lost, and the stager says it again. */
function isSaidAlready({ state, stager }: BuildRow, { outcome }: BuildFinish): boolean {
  if (outcome === 'staged') return state === 'STAGED';
  if (outcome === 'failed') return state === 'FAILED';
  return state === 'STAGING' && stager === null;
}

async function endOf(
  mutation: Mutation,
  build: BuildRow,
  finish: BuildFinish,
  outcome: BuildFinish['outcome'],
): Promise<Partial<BuildRow>> {
  const finished_at = mutation.now;
  if (finish.outcome === 'staged' && outcome === 'staged')
    return {
      state: 'STAGED',
      finished_at,
      error: null,
      droplet_guid: await createDroplet(mutation, build, finish.result),
    };
  if (finish.outcome === 'failed' && outcome === 'failed')
    return { state: 'FAILED', finished_at, error_title: finish.title, error: finish.error };
  // Ours: it stays STAGING, and the outbox offers it again or gives it up.
  return finish.outcome === 'lost' ? { error: finish.error } : {};
}

async function scopeOf(
  { db }: Mutation,
  appGuid: string,
): Promise<{ organizationGuid: string; spaceGuid: string } | undefined> {
  return db
    .selectFrom('apps')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .select(['apps.space_guid as spaceGuid', 'spaces.organization_guid as organizationGuid'])
    .where('apps.guid', '=', appGuid)
    .executeTakeFirst();
}

async function createDroplet({ db, now, changed }: Mutation, build: BuildRow, result: StagedResult): Promise<string> {
  const guid = randomUUID();
  await db
    .insertInto('droplets')
    .values({
      guid,
      created_at: now,
      updated_at: now,
      app_guid: build.app_guid,
      package_guid: build.package_guid,
      build_guid: build.guid,
      state: 'STAGED',
      error: null,
      stack: result.stack,
      // An image stands on no stack: it runs on whatever a cell has.
      stack_digest: result.image === undefined ? result.stackDigest : null,
      abi_key: result.image === undefined ? result.abiKey : null,
      docker_image: result.image?.name ?? null,
      image_config_json: result.image === undefined ? null : JSON.stringify(result.image.config),
      layers_json: JSON.stringify(result.layers),
      buildpacks_json: JSON.stringify(result.buildpacks),
      process_types_json: JSON.stringify(result.processTypes),
      execution_metadata: result.executionMetadata,
      image_digest: result.imageDigest,
    })
    .execute();
  changed('droplet', guid);
  return guid;
}
