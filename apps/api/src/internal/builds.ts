/**
 * The stager's side of a build: hint, claim, package, heartbeat. The queue only hints; the claim is one conditional update here, and every later call
 * carries its fence. What comes under an old fence is refused with 409 and changes nothing. How a build ends is in `finish-build.ts`.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { type BuildOrder, buildClaim, buildHeartbeat } from '@cupola/contract/internal';
import { isClaimable } from '@cupola/model/build-lease';
import { FencedError } from '@cupola/model/errors';
import { STAGING_LIMITS } from '@cupola/model/limits';
import type { Layer } from '@cupola/model/run-spec';
import type { BuildsTable, Database } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Kysely, Selectable } from 'kysely';
import { buildpacksForBuild } from '../buildpacks/ordered.ts';
import { cacheGeneration } from '../builds/cache-clearings.ts';
import type { ApiDeps } from '../deps.ts';
import { groupEgress } from '../security-groups/group-egress.ts';
import { type InternalCall, type InternalReply, needed, neededNumber, readJson } from './call.ts';
import { requireSelf } from './caller.ts';
import { GIVEN_BACK_MS, giveBack, nextFitting } from './fitting-hint.ts';
import { sendBlob } from './send-blob.ts';

type BuildRow = Selectable<BuildsTable>;

/** A call is held no longer: a peer that has gone without a word keeps nothing of ours for ever. */
const WAIT_MAX_MS = 60_000;
/** The claim follows at once; a stager that died in between keeps nobody waiting for long. */
const HINT_LEASE_MS = 2_000;

export async function nextBuild(call: InternalCall): Promise<InternalReply> {
  const { queue } = call.deps;
  const stager = needed(call, 'stager');
  requireSelf(call.caller, { role: 'stager', id: stager });
  const stacks = call.query.getAll('stack');
  const over = deadline(Math.min(neededNumber(call, 'wait_ms'), WAIT_MAX_MS), call.signal);
  try {
    for (;;) {
      const offered = Promise.withResolvers<void>();
      // Before the look: an offer that comes right after it must not be missed.
      const unsubscribe = queue.onOffer(offered.resolve);
      try {
        const { hint, passed } = await nextFitting(call.deps, { stager, stacks, leaseMs: HINT_LEASE_MS });
        await giveBack(call.deps, passed);
        // Nobody is there to take it: the outbox offers it to the next one.
        if (hint !== null && call.signal.aborted) await queue.done(hint.buildGuid);
        else if (hint !== null) return { status: 200, json: { buildGuid: hint.buildGuid } };
        if (over.isOver()) return { status: 204 };
        await Promise.race([passed.length > 0 ? pause(GIVEN_BACK_MS) : offered.promise, over.promise]);
      } finally {
        unsubscribe();
      }
    }
  } finally {
    over.clear();
  }
}

function deadline(ms: number, signal: AbortSignal) {
  const { promise, resolve } = Promise.withResolvers<void>();
  let isOver = signal.aborted;
  const end = (): void => {
    isOver = true;
    resolve();
  };
  const timer = setTimeout(end, ms);
  signal.addEventListener('abort', end, { once: true });
  return { promise, isOver: () => isOver, clear: () => clearTimeout(timer) };
}

export async function claimBuild(call: InternalCall): Promise<InternalReply> {
  const { deps } = call;
  const guid = call.params.guid ?? '';
  const { stager } = await readJson(call, buildClaim);
  requireSelf(call.caller, { role: 'stager', id: stager });
  const order = await deps.store.mutate(mutation => claim(mutation, deps, { guid, stager }));
  // Taken, or not to be had: either way this hint has done its work. What may be had again the outbox offers again.
  await deps.queue.done(guid);
  if (order === null) throw new FencedError('This build');
  // Its lease begins.
  deps.leases.stands({ guid, fence: order.fence, stager, beats: null });
  return { status: 200, json: order };
}

/** Null when the build is not to be had. */
async function claim(
  mutation: Mutation,
  deps: ApiDeps,
  { guid, stager }: { guid: string; stager: string },
): Promise<BuildOrder | null> {
  const { db, now, changed } = mutation;
  const build = await db.selectFrom('builds').selectAll().where('guid', '=', guid).executeTakeFirst();
  if (build === undefined || !isFree({ ...build, beats: await beatsOf(db, build) }, deps)) return null;
  const place = await readPlace(db, build.package_guid);
  const scope = { organizationGuid: place?.organization_guid ?? null, spaceGuid: place?.space_guid ?? null };
  changed('build', guid, scope);
  const hasContent = place?.type === 'docker' ? place.docker_image !== null : place?.digest !== null;
  if (place === undefined || !hasContent || place.state !== 'READY') {
    const error = place?.error ?? PACKAGE_GONE;
    await db
      .updateTable('builds')
      .set({ state: 'FAILED', finished_at: now, updated_at: now, error_title: 'StagingError', error })
      .where('guid', '=', guid)
      .execute();
    return null;
  }
  const claimed = { fence: build.fence + 1, attempts: build.attempts + 1 };
  await db
    .updateTable('builds')
    .set({ ...claimed, stager, last_stager: stager, lease_until: now + STAGING_LIMITS.leaseMs, updated_at: now })
    .where('guid', '=', guid)
    .execute();
  const packs = await buildpacksForBuild(db, build.stack);
  const generation = await cacheGeneration(db, build.app_guid);
  const egress = await groupEgress(db, place.space_guid, 'staging');
  return {
    ...makeOrder(deps, { ...build, ...claimed }, { place, packs }),
    ...(place.docker_image === null ? {} : { image: await imageOf(mutation, deps, place, place.docker_image) }),
    cacheGeneration: generation,
    egress,
  };
}

const PACKAGE_GONE = 'The package of this build is not there any more. Push again.';

async function beatsOf(db: Kysely<Database>, { guid, fence }: BuildRow): Promise<number | null> {
  const row = await db
    .selectFrom('build_heartbeats')
    .select('counter')
    .where('build_guid', '=', guid)
    .where('fence', '=', fence)
    .executeTakeFirst();
  return row?.counter ?? null;
}

function isFree(build: BuildRow & { beats: number | null }, { leases }: ApiDeps): boolean {
  return isClaimable({
    state: build.state,
    isAdopted: build.adopted === 1,
    isCancelled: build.cancelled === 1,
    isLeased: leases.stands(build),
    attempts: build.attempts,
  });
}

async function readPlace(db: Kysely<Database>, packageGuid: string) {
  return db
    .selectFrom('packages')
    .innerJoin('apps', 'apps.guid', 'packages.app_guid')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .innerJoin('organizations', 'organizations.guid', 'spaces.organization_guid')
    .select(['packages.state', 'packages.error', 'packages.digest', 'packages.size_bytes', 'packages.type'])
    .select(['packages.docker_image', 'packages.docker_username', 'packages.docker_password_sealed'])
    .select(['apps.name as app_name', 'apps.space_guid'])
    .select(['spaces.name as space_name', 'spaces.organization_guid', 'organizations.name as organization_name'])
    .where('packages.guid', '=', packageGuid)
    .executeTakeFirst();
}
type Place = NonNullable<Awaited<ReturnType<typeof readPlace>>>;

/**
 * What a stager is to fetch. Layers that its organization has fetched are known: nobody else's, or whoever knows a digest could have the bytes that it names, of
 * any app, by writing a manifest.
 */
async function imageOf(
  { db }: Mutation,
  { sealer }: ApiDeps,
  { organization_guid, docker_username, docker_password_sealed }: Place,
  name: string,
): Promise<NonNullable<BuildOrder['image']>> {
  const rows = await db
    .selectFrom('droplets')
    .innerJoin('apps', 'apps.guid', 'droplets.app_guid')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .select('droplets.layers_json')
    .where('spaces.organization_guid', '=', organization_guid)
    .where('droplets.docker_image', 'is not', null)
    .where('droplets.state', '=', 'STAGED')
    .orderBy('droplets.created_at', 'desc')
    .limit(KNOWN_DROPLETS_MAX)
    .execute();
  const known = rows.flatMap(row => JSON.parse(row.layers_json) as Layer[]).map(({ digest }) => digest);
  const password = docker_password_sealed === null ? '' : sealer.open(docker_password_sealed);
  return {
    name,
    login: docker_username === null || docker_username === '' ? null : { username: docker_username, password },
    known: [...new Set(known)],
  };
}
/** The newest of an organization's: a push mostly shares its layers with the one before (ours). */
const KNOWN_DROPLETS_MAX = 100;

function makeOrder(
  { sealer }: ApiDeps,
  build: BuildRow,
  { place, packs }: { place: Place; packs: Awaited<ReturnType<typeof buildpacksForBuild>> },
): BuildOrder {
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
    ...packs,
    stack: build.stack,
    environment: JSON.parse(sealer.open(build.environment_sealed)) as Record<string, string>,
    memoryMb: build.memory_mb,
    diskMb: build.disk_mb,
    timeoutMs: STAGING_LIMITS.timeoutMs,
  };
}

/** Not on the feed: who judges leases reads the counter (`builds/leases.ts`). */
export async function heartbeatBuild(call: InternalCall): Promise<InternalReply> {
  const { fence } = await readJson(call, buildHeartbeat);
  const build = await heldBuild(call, call.params.guid ?? '', fence);
  await call.deps.store.note(({ db }) =>
    db
      .insertInto('build_heartbeats')
      .values({ build_guid: build.guid, fence, counter: 1 })
      .onConflict(conflict =>
        conflict.column('build_guid').doUpdateSet(set => ({ fence, counter: set('build_heartbeats.counter', '+', 1) })),
      )
      .execute(),
  );
  return { status: 200, json: { leaseMs: STAGING_LIMITS.leaseMs, cancel: build.cancelled === 1 } };
}

/** @throws FencedError unless it is being staged under this fence, and by who calls. */
export async function heldBuild({ deps, caller }: InternalCall, guid: string, fence: number): Promise<BuildRow> {
  const { read } = deps.store;
  const build = await read.selectFrom('builds').selectAll().where('guid', '=', guid).executeTakeFirst();
  const isHeld = build?.fence === fence && build.state === 'STAGING' && build.stager !== null;
  if (build === undefined || !isHeld) throw new FencedError('This build');
  requireSelf(caller, { role: 'stager', id: build.stager ?? '' });
  return build;
}

export async function sendPackage(call: InternalCall): Promise<InternalReply> {
  const { store } = call.deps;
  const build = await heldBuild(call, call.params.guid ?? '', neededNumber(call, 'fence'));
  const found = await store.read
    .selectFrom('packages')
    .select('digest')
    .where('guid', '=', build.package_guid)
    .executeTakeFirst();
  return sendBlob(call, found?.digest ?? '', 'Package');
}
