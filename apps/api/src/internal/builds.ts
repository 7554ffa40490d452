/**
 * The stager's side of a build: hint, claim, package, heartbeat, end. The queue only hints; the claim is one conditional update here, and every later call
 * carries its fence. What comes under an old fence is refused with 409 and changes nothing.
 */
import { randomUUID } from 'node:crypto';
import { type BuildOrder, buildClaim, buildFinish, buildHeartbeat, type StagedResult } from '@cupola/contract/internal';
import { isClaimable } from '@cupola/model/build-lease';
import { FencedError, NotFoundError } from '@cupola/model/errors';
import { STAGING_LIMITS } from '@cupola/model/limits';
import type { BuildsTable } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Selectable } from 'kysely';
import type { ApiDeps } from '../deps.ts';
import { type InternalCall, type InternalReply, needed, neededNumber, readJson } from './call.ts';

type BuildRow = Selectable<BuildsTable>;

/** Longer holds tell nothing of a peer that is gone. */
const WAIT_MAX_MS = 30_000;
/** In order of position; binary_buildpack takes what has a Procfile. */
const DETECT_ORDER = ['nodejs_buildpack', 'staticfile_buildpack', 'binary_buildpack'];

const TAKEN = 'This build';

/** Held until a hint comes or `wait_ms` is over. */
export async function nextBuild(call: InternalCall): Promise<InternalReply> {
  const { queue, log } = call.deps;
  const stager = needed(call, 'stager');
  const until = performance.now() + Math.min(neededNumber(call, 'wait_ms'), WAIT_MAX_MS);
  let wake: () => void = () => undefined;
  const unsubscribe = queue.onOffer(() => wake());
  try {
    for (;;) {
      const offered = new Promise<void>(resolve => {
        wake = resolve;
      });
      if (call.signal.aborted) return { status: 204 };
      const hint = await queue.next(stager, STAGING_LIMITS.leaseMs);
      if (hint !== null) return { status: 200, json: { buildGuid: hint.buildGuid } };
      const leftMs = until - performance.now();
      if (leftMs <= 0) return { status: 204 };
      await Promise.race([offered, pause(leftMs, call.signal)]);
    }
  } catch (error) {
    log.warn({ err: error }, 'the build queue could not be asked');
    throw error;
  } finally {
    unsubscribe();
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(end, ms);
    function end(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    }
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
  });
}

export async function claimBuild(call: InternalCall): Promise<InternalReply> {
  const { deps } = call;
  const guid = call.params.guid ?? '';
  const { stager } = await readJson(call, buildClaim);
  const order = await deps.store.mutate(async mutation => {
    const { db, now, changed } = mutation;
    const build = await db.selectFrom('builds').selectAll().where('guid', '=', guid).executeTakeFirst();
    const isFree =
      build !== undefined &&
      build.state === 'STAGING' &&
      isClaimable({ cancelled: build.cancelled === 1, attempts: build.attempts, leaseUntil: build.lease_until }, now);
    if (!isFree) throw new FencedError(TAKEN);
    const claimed = { fence: build.fence + 1, attempts: build.attempts + 1 };
    await db
      .updateTable('builds')
      .set({ ...claimed, stager, lease_until: now + STAGING_LIMITS.leaseMs, updated_at: now })
      .where('guid', '=', guid)
      .execute();
    changed('build', guid);
    return makeOrder(mutation, deps, { ...build, ...claimed });
  });
  await deps.queue.done(guid);
  return { status: 200, json: order };
}

async function makeOrder({ db }: Mutation, { sealer }: Pick<ApiDeps, 'sealer'>, build: BuildRow): Promise<BuildOrder> {
  const place = await db
    .selectFrom('packages')
    .innerJoin('apps', 'apps.guid', 'packages.app_guid')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .innerJoin('organizations', 'organizations.guid', 'spaces.organization_guid')
    .select([
      'packages.digest',
      'packages.size_bytes',
      'apps.name as app_name',
      'spaces.name as space_name',
      'organizations.name as organization_name',
    ])
    .where('packages.guid', '=', build.package_guid)
    .executeTakeFirst();
  if (place === undefined || place.digest === null) throw new FencedError(TAKEN);
  return {
    buildGuid: build.guid,
    fence: build.fence,
    attempt: build.attempts,
    leaseMs: STAGING_LIMITS.leaseMs,
    appGuid: build.app_guid,
    appName: place.app_name,
    spaceName: place.space_name,
    organizationName: place.organization_name,
    packageGuid: build.package_guid,
    packageDigest: place.digest,
    packageSizeBytes: place.size_bytes ?? 0,
    buildpacks: JSON.parse(build.buildpacks_json) as string[],
    detectOrder: DETECT_ORDER,
    stack: build.stack,
    environment: JSON.parse(sealer.open(build.environment_sealed)) as Record<string, string>,
    memoryMb: build.memory_mb,
    diskMb: build.disk_mb,
    timeoutMs: STAGING_LIMITS.timeoutMs,
  };
}

export async function heartbeatBuild(call: InternalCall): Promise<InternalReply> {
  const { fence } = await readJson(call, buildHeartbeat);
  const cancel = await call.deps.store.note(async ({ db, now }) => {
    const build = await heldBuild({ db }, call.params.guid ?? '', fence);
    await db
      .updateTable('builds')
      .set({ lease_until: now + STAGING_LIMITS.leaseMs })
      .where('guid', '=', build.guid)
      .execute();
    return build.cancelled === 1;
  });
  return { status: 200, json: { leaseMs: STAGING_LIMITS.leaseMs, cancel } };
}

/** @throws FencedError when it is held under another fence, or by nobody. */
export async function heldBuild({ db }: Pick<Mutation, 'db'>, guid: string, fence: number): Promise<BuildRow> {
  const build = await db.selectFrom('builds').selectAll().where('guid', '=', guid).executeTakeFirst();
  if (build === undefined || build.fence !== fence || build.state !== 'STAGING') throw new FencedError(TAKEN);
  return build;
}

export async function sendPackage(call: InternalCall): Promise<InternalReply> {
  const { store, blobs } = call.deps;
  const row = await store.read
    .selectFrom('builds')
    .innerJoin('packages', 'packages.guid', 'builds.package_guid')
    .select(['packages.digest', 'builds.fence', 'builds.state'])
    .where('builds.guid', '=', call.params.guid ?? '')
    .executeTakeFirst();
  if (row === undefined || row.fence !== neededNumber(call, 'fence') || row.state !== 'STAGING')
    throw new FencedError(TAKEN);
  const info = row.digest === null ? null : await blobs.stat(row.digest);
  if (info === null) throw new NotFoundError('Package');
  return { stream: await blobs.openVerified(info.digest), sizeBytes: info.sizeBytes };
}

/** One conditional update publishes the result: a second delivery finds it done. */
export async function finishBuild(call: InternalCall): Promise<InternalReply> {
  const { deps } = call;
  const guid = call.params.guid ?? '';
  const finish = await readJson(call, buildFinish);
  await deps.store.mutate(async mutation => {
    const { db, now, changed } = mutation;
    const known = await db.selectFrom('builds').select(['fence', 'state']).where('guid', '=', guid).executeTakeFirst();
    // Said before, and the answer was lost.
    if (known?.fence === finish.fence && known.state === 'STAGED' && finish.outcome === 'staged') return;
    const build = await heldBuild(mutation, guid, finish.fence);
    if (build.cancelled === 1) throw new FencedError(TAKEN);
    await db
      .updateTable('builds')
      .set({ ...(await endOf(mutation, build, finish)), lease_until: null, updated_at: now })
      .where('guid', '=', guid)
      .execute();
    changed('build', guid);
  });
  await deps.queue.done(guid);
  return { status: 204 };
}

async function endOf(
  mutation: Mutation,
  build: BuildRow,
  finish: ReturnType<typeof buildFinish.parse>,
): Promise<Partial<BuildRow>> {
  const { now } = mutation;
  switch (finish.outcome) {
    case 'staged':
      return { state: 'STAGED', finished_at: now, droplet_guid: await createDroplet(mutation, build, finish.result) };
    case 'failed':
      return { state: 'FAILED', finished_at: now, error_title: finish.title, error: finish.error };
    case 'lost':
      return build.attempts < STAGING_LIMITS.attemptsMax
        ? {}
        : { state: 'FAILED', finished_at: now, error_title: 'StagerError', error: `Stager error: ${finish.error}` };
  }
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
      stack_digest: result.stackDigest,
      abi_key: result.abiKey,
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
