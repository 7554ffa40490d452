/**
 * Fills the build queue from the store, where the truth is: woken by each change of a build, and every few seconds, since a queue may lose its hints. Ends
 * what has no attempts, no time, or nobody who asked for it. The decision is `packages/model/src/build-lease.ts`; nobody else offers to the queue.
 */
import type { LogStore } from '@cupola/logs/log-store';
import { type BuildFacts, type BuildFate, decideBuild } from '@cupola/model/build-lease';
import { STAGING_LIMITS } from '@cupola/model/limits';
import type { BuildHint } from '@cupola/queue/build-queue';
import type { ApiDeps } from '../deps.ts';
import { recordBuildEnd } from './build-events.ts';
import { forgetBuild } from './forget-build.ts';

type Deps = Pick<ApiDeps, 'store' | 'queue' | 'leases' | 'log' | 'now'> & { logs: Pick<LogStore, 'remove'> };
/** Both parts of the question have an index. What was left for so long, while nothing of us ran, is the sweeper's. */
const UNADOPTED_SEEN_MS = 86_400_000;

type Ending = Exclude<BuildFate, { do: 'wait' } | { do: 'offer' }>;

interface OpenBuild {
  guid: string;
  fence: number;
  organizationGuid: string;
  /** What the last stager said of it. */
  facts: BuildFacts;
}

/** Runs until disposed. A pass that fails is logged; the next one tries again. */
export function startOutbox(deps: Deps): AsyncDisposable {
  const { store, log } = deps;
  let closed = false;
  let isWanted = true;
  let running: Promise<void> | null = null;

  const loop = async (): Promise<void> => {
    while (isWanted && !closed) {
      isWanted = false;
      await passOnce(deps).catch((error: unknown) => {
        if (!closed) log.error({ err: error }, 'builds could not be looked at; the next pass tries again');
      });
    }
    running = null;
  };
  const wake = (): void => {
    isWanted = true;
    if (!closed) running ??= loop();
  };
  const unsubscribe = store.subscribe(changes => {
    if (changes === null || changes.some(({ kind }) => kind === 'build')) wake();
  });
  const timer = setInterval(wake, STAGING_LIMITS.outboxRepeatMs);
  wake();
  return {
    [Symbol.asyncDispose]: async () => {
      closed = true;
      clearInterval(timer);
      unsubscribe();
      await running;
    },
  };
}

async function passOnce(deps: Deps): Promise<void> {
  const unfinished = new Map<string, number>();
  let isQueueAway = false;
  for (const build of await readOpen(deps)) {
    // Organizations take turns: the more builds of one are open, the later its next one.
    const priority = 1 + (unfinished.get(build.organizationGuid) ?? 0);
    if (build.facts.state === 'STAGING') unfinished.set(build.organizationGuid, priority);
    const fate = decideBuild(build.facts, deps.now());
    if (fate.do === 'wait') continue;
    if (fate.do === 'offer') {
      if (!isQueueAway) isQueueAway = !(await offer(deps, { buildGuid: build.guid, priority }));
    } else if (await apply(deps, build, fate)) await deps.queue.done(build.guid);
  }
}

/** False when the queue is away: that keeps no build from being ended, and the next pass offers again. */
async function offer({ queue, log }: Deps, hint: BuildHint): Promise<boolean> {
  try {
    await queue.offer(hint);
    return true;
  } catch (error) {
    log.warn({ err: error }, 'builds wait: the build queue took no hint; it is tried again every few seconds');
    return false;
  }
}

/** Builds that have not ended, and those that nobody has asked for yet; the oldest first. */
async function readOpen({ store, leases, now }: Deps): Promise<OpenBuild[]> {
  const rows = await store.read
    .selectFrom('builds')
    .innerJoin('apps', 'apps.guid', 'builds.app_guid')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .leftJoin('build_heartbeats as beats', join =>
      join.onRef('beats.build_guid', '=', 'builds.guid').onRef('beats.fence', '=', 'builds.fence'),
    )
    .select([
      'beats.counter as beats',
      'spaces.organization_guid',
      'builds.guid',
      'builds.state',
      'builds.created_at',
      'builds.error',
    ])
    .select(['builds.adopted', 'builds.cancelled', 'builds.fence', 'builds.attempts', 'builds.stager'])
    .where(({ or, and, eb }) =>
      or([
        eb('builds.state', '=', 'STAGING'),
        and([eb('builds.adopted', '=', 0), eb('builds.created_at', '>', now() - UNADOPTED_SEEN_MS)]),
      ]),
    )
    .orderBy('builds.created_at')
    .orderBy('builds.guid')
    .execute();
  leases.keep(rows.map(({ guid }) => guid));
  return rows.map(row => ({
    guid: row.guid,
    fence: row.fence,
    organizationGuid: row.organization_guid,
    facts: {
      state: row.state,
      isAdopted: row.adopted === 1,
      isCancelled: row.cancelled === 1,
      isLeased: leases.stands(row),
      attempts: row.attempts,
      createdAt: row.created_at,
      lastError: row.error,
    },
  }));
}

/** Only as it was decided: who claimed, finished or adopted it meanwhile has moved what is asked for here. True when it was done. */
async function apply({ store, logs }: Deps, build: OpenBuild, fate: Ending): Promise<boolean> {
  const done = await store.mutate(async mutation => {
    const { db, now, changed } = mutation;
    const row = await db.selectFrom('builds').selectAll().where('guid', '=', build.guid).executeTakeFirst();
    const isAsDecided =
      row?.fence === build.fence &&
      row.state === build.facts.state &&
      (row.adopted === 1) === build.facts.isAdopted &&
      (row.cancelled === 1) === build.facts.isCancelled;
    if (!isAsDecided) return false;
    if (fate.do !== 'cancel') await db.deleteFrom('build_heartbeats').where('build_guid', '=', build.guid).execute();
    if (fate.do === 'drop') {
      await forgetBuild(mutation, build.guid);
      return true;
    }
    const ended =
      fate.do === 'cancel'
        ? { cancelled: 1 as const }
        : { state: 'FAILED' as const, error_title: fate.title, error: fate.error, stager: null, finished_at: now };
    await db
      .updateTable('builds')
      .set({ ...ended, updated_at: now })
      .where('guid', '=', build.guid)
      .execute();
    changed('build', build.guid, { organizationGuid: build.organizationGuid });
    if (fate.do === 'fail' && row.adopted === 1) await recordBuildEnd(mutation, { ...row, ...ended });
    return fate.do === 'fail';
  });
  if (done && fate.do === 'drop') await logs.remove(build.guid);
  return done;
}
