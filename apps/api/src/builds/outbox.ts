/**
 * Fills the build queue from the store, where the truth is: woken by each change of a build, and every few seconds, since a queue may lose its hints. Ends
 * what has no lease, no attempts, no time, or nobody who asked for it. The decision is `packages/model/src/build-lease.ts`.
 */
import { type BuildAction, decideBuilds, type StagingBuild } from '@cupola/model/build-lease';
import { STAGING_LIMITS } from '@cupola/model/limits';
import type { ApiDeps } from '../deps.ts';

type Deps = Pick<ApiDeps, 'store' | 'queue' | 'log' | 'now'>;

/** Until disposed. Before its first pass every lease gets its full time anew: this process did not see the heartbeats of before. */
export function startOutbox(deps: Deps): AsyncDisposable {
  const { store, log } = deps;
  let closed = false;
  let wanted = false;
  let running: Promise<void> | null = null;
  const loop = async (): Promise<void> => {
    while (wanted && !closed) {
      wanted = false;
      await pass(deps).catch((error: unknown) => {
        if (!closed) log.error({ err: error }, 'builds could not be looked at; the next pass tries again');
      });
    }
    running = null;
  };
  const wake = (): void => {
    wanted = true;
    if (!closed) running ??= loop();
  };
  running = renewLeases(deps)
    .catch((error: unknown) => log.error({ err: error }, 'leases of builds could not be renewed'))
    .then(loop);
  wanted = true;
  const unsubscribe = store.subscribe(changes => {
    if (changes.some(({ kind }) => kind === 'build')) wake();
  });
  const timer = setInterval(wake, STAGING_LIMITS.outboxRepeatMs);
  return {
    [Symbol.asyncDispose]: async () => {
      closed = true;
      clearInterval(timer);
      unsubscribe();
      await running;
    },
  };
}

async function renewLeases({ store }: Deps): Promise<void> {
  await store.note(async ({ db, now }) => {
    await db
      .updateTable('builds')
      .set({ lease_until: now + STAGING_LIMITS.leaseMs })
      .where('state', '=', 'STAGING')
      .where('lease_until', 'is not', null)
      .execute();
  });
}

async function pass(deps: Deps): Promise<void> {
  for (const action of decideBuilds({ now: deps.now(), builds: await readStaging(deps) })) {
    if (action.do === 'offer') await deps.queue.offer({ buildGuid: action.guid, priority: action.priority });
    else {
      await end(deps, action);
      await deps.queue.done(action.guid);
    }
  }
}

async function readStaging({ store }: Deps): Promise<StagingBuild[]> {
  const rows = await store.read
    .selectFrom('builds')
    .innerJoin('apps', 'apps.guid', 'builds.app_guid')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .select([
      'builds.guid',
      'spaces.organization_guid',
      'builds.created_at',
      'builds.adopted',
      'builds.cancelled',
      'builds.fence',
      'builds.attempts',
      'builds.lease_until',
    ])
    .where('builds.state', '=', 'STAGING')
    .execute();
  return rows.map(row => ({
    guid: row.guid,
    organizationGuid: row.organization_guid,
    createdAt: row.created_at,
    adopted: row.adopted === 1,
    cancelled: row.cancelled === 1,
    fence: row.fence,
    attempts: row.attempts,
    leaseUntil: row.lease_until,
  }));
}

/** Only as it was decided: a stager that claimed or finished it meanwhile has moved the fence or the state. */
async function end({ store }: Deps, action: Exclude<BuildAction, { do: 'offer' }>): Promise<void> {
  await store.mutate(async ({ db, now, changed }) => {
    const ended =
      action.do === 'fail'
        ? {
            state: 'FAILED' as const,
            error_title: action.title,
            error: action.error,
            lease_until: null,
            finished_at: now,
          }
        : { state: 'FAILED' as const, cancelled: 1 as const, error: 'Nobody asked for this build.', finished_at: now };
    const { numUpdatedRows } = await db
      .updateTable('builds')
      .set({ ...ended, updated_at: now })
      .where('guid', '=', action.guid)
      .where('fence', '=', action.fence)
      .where('state', '=', 'STAGING')
      .executeTakeFirst();
    if (numUpdatedRows > 0n) changed('build', action.guid);
  });
}
