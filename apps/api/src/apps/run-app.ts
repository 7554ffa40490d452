/**
 * Starting, stopping and restarting inside a mutation. A stop answers at once, but copies and routes linger for STOP_LINGER_MS: the cf CLI's restart and
 * scale send stop and then start, and a start within that time is a planned restart without a dropped request (failure-rules.md 5).
 */
import type { Mutation } from '@cupola/store/store';
import type { Actor } from '../access/actor.ts';
import type { ApiDeps } from '../deps.ts';
import { requireFlag } from '../flags/flags.ts';
import { checkQuota, quotaUse } from '../processes/quota.ts';
import { resolveRevision } from '../revisions/resolve-revision.ts';
import { fixRunSpecs } from '../run-specs/fix.ts';
import { recordAppState } from '../usage-events/record-usage.ts';
import type { ScopedApp } from './find-app.ts';

type RunDeps = Pick<ApiDeps, 'sealer' | 'config'>;
interface Run {
  app: ScopedApp;
  actor: Actor;
}

/** An app that is STARTED keeps what it runs; only process types that never ran are fixed. @throws UnprocessableError without a droplet. */
export async function startApp(mutation: Mutation, deps: RunDeps, { app, actor }: Run): Promise<void> {
  await mayRun(mutation, { app, actor });
  if (app.state === 'STARTED') return run(mutation, deps, app, { only: 'unfixed' });
  const revision = await resolveRevision(mutation, deps, { app, actor });
  await run(mutation, deps, app, { revisionGuid: revision?.guid ?? null });
}

/** A stopped app is started. @throws UnprocessableError without a droplet. */
export async function restartApp(mutation: Mutation, deps: RunDeps, { app, actor }: Run): Promise<void> {
  await mayRun(mutation, { app, actor });
  const revision = await resolveRevision(mutation, deps, { app, actor });
  await run(mutation, deps, app, { revisionGuid: revision?.guid ?? null });
}

/** As `startApp` for a stopped app whose revision the caller has made. */
export async function startRevision(
  mutation: Mutation,
  deps: RunDeps,
  app: ScopedApp,
  revisionGuid: string | null,
): Promise<void> {
  await run(mutation, deps, app, { revisionGuid });
}

/** @throws ForbiddenError for an image where none may be run (CF: apps_controller.rb). What runs goes on. */
async function mayRun({ db }: Mutation, { app, actor }: Run): Promise<void> {
  if (app.lifecycle_type === 'docker') await requireFlag(db, actor, 'diego_docker');
}

type FixOptions = Parameters<typeof fixRunSpecs>[3];

async function run(mutation: Mutation, deps: RunDeps, app: ScopedApp, options: FixOptions): Promise<void> {
  const { db, now, changed } = mutation;
  const before = await quotaUse(db, app.organization_guid);
  await fixRunSpecs(mutation, deps, app.guid, options);
  if (app.state !== 'STARTED') {
    await db
      .updateTable('apps')
      .set({ state: 'STARTED', stopped_at: null, updated_at: now })
      .where('guid', '=', app.guid)
      .execute();
    await recordAppState(mutation, app, 'STARTED');
    changed('app', app.guid, { organizationGuid: app.organization_guid, spaceGuid: app.space_guid });
  }
  await checkQuota(db, { organizationGuid: app.organization_guid, appGuid: app.guid, before });
}

/** A stopped app stays as it is: its copies' time to linger is not begun anew. */
export async function stopApp(mutation: Mutation, app: ScopedApp): Promise<void> {
  const { db, now, changed } = mutation;
  if (app.state === 'STOPPED') return;
  await recordAppState(mutation, app, 'STOPPED');
  await db
    .updateTable('apps')
    .set({ state: 'STOPPED', stopped_at: now, updated_at: now })
    .where('guid', '=', app.guid)
    .execute();
  changed('app', app.guid, { organizationGuid: app.organization_guid, spaceGuid: app.space_guid });
}
