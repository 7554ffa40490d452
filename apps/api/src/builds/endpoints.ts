import { buildAnswer, createBuild as createBody } from '@cupola/contract/v3/build';
import { updateMetadata } from '@cupola/contract/v3/package';
import { InvalidRequestError, NotFoundError, UnprocessableError } from '@cupola/model/errors';
import { HOLD_LIMITS } from '@cupola/model/limits';
import type { Database } from '@cupola/store/schema';
import type { Kysely } from 'kysely';
import { maySeeSpace, requireDeveloper } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import { recordAppEvent } from '../apps/app-events.ts';
import { APP_MANAGERS, appScope, findApp, type ScopedApp } from '../apps/find-app.ts';
import { checkBuildpacks, lifecycleOf, resolveLifecycle } from '../apps/lifecycle.ts';
import { logApi } from '../apps/log-line.ts';
import type { ApiDeps } from '../deps.ts';
import { requireFlag } from '../flags/flags.ts';
import { isCliAgent } from '../http/cli-agent.ts';
import { type ApiRequest, type Endpoint, endpoint } from '../http/endpoint.ts';
import { writeMetadata } from '../metadata/metadata.ts';
import { seenPackage } from '../packages/find-package.ts';
import { restageWarnings } from '../stacks/resolve-stack.ts';
import { recordBuildUsage } from '../usage-events/record-usage.ts';
import { recordBuildEnd } from './build-events.ts';
import { type BuildRow, createBuild } from './create-build.ts';
import { listBuilds, listBuildsOfApp, presentBuilds } from './list-builds.ts';
import { noLines } from './no-lines.ts';

const NO_PACKAGE = 'Unable to use package. Ensure that the package exists and you have access to it.';

async function usablePackage(db: Kysely<Database>, actor: Actor, guid: string) {
  const found = await seenPackage(db, actor, guid).catch((error: unknown) => {
    if (error instanceof NotFoundError) throw new UnprocessableError(NO_PACKAGE);
    throw error;
  });
  requireDeveloper(actor, appScope(found.app), 'Package', APP_MANAGERS);
  if (found.row.state !== 'READY')
    throw new InvalidRequestError('Bad request: Cannot stage package whose state is not ready.');
  return found;
}

async function seenBuild(db: Kysely<Database>, actor: Actor, guid: string): Promise<{ row: BuildRow; app: ScopedApp }> {
  const row = await db
    .selectFrom('builds')
    .selectAll()
    .where('guid', '=', guid)
    .where('adopted', '=', 1)
    .executeTakeFirst();
  const app = row === undefined ? undefined : await findApp(db, row.app_guid);
  if (row === undefined || app === undefined || !maySeeSpace(actor, appScope(app))) throw new NotFoundError('Build');
  return { row, app };
}

async function show(deps: ApiDeps, row: BuildRow) {
  return (await presentBuilds(deps, [row]))[0];
}

/** An image stands on no stack. */
async function stackWarnings(db: Kysely<Database>, { lifecycle_type, stack }: ScopedApp): Promise<string[]> {
  return lifecycle_type === 'docker' ? [] : restageWarnings(db, stack);
}

/**
 * A fast push would show none of its staging log: the cf CLI's tail stops when the build has ended, so its poll is answered when the tail has the last line
 * (held-requests.md). Our own clients read the rest of the log themselves.
 */
async function waitForTail(
  { holds, logs, tails }: ApiDeps,
  request: ApiRequest<unknown, unknown>,
  build: BuildRow,
): Promise<void> {
  if (build.state === 'STAGING' || request.preferWaitSeconds !== null) return;
  if (!isCliAgent(request.userAgent) || !holds.owns(request, 'build', build.guid)) return;
  const query = { startNs: BigInt(build.created_at) * 1_000_000n, limit: 1, descending: true, sourceTypes: ['STG'] };
  const [last] = await logs.read({ appGuid: build.app_guid, ...query }).catch(noLines);
  if (last === undefined) return;
  await tails.waitPassed(build.app_guid, last.timestampNs, {
    timeoutMs: HOLD_LIMITS.buildLogFenceMs,
    signal: request.signal,
  });
}

export const buildEndpoints: Endpoint[] = [
  listBuilds,
  listBuildsOfApp,
  endpoint({
    method: 'POST',
    path: '/v3/builds',
    summary: 'Stage a package',
    bodySchema: createBody,
    responseSchema: buildAnswer,
    handle: async (deps, request) => {
      const { actor, body } = request;
      const { build, app, warnings } = await deps.store.mutate(async mutation => {
        const { row, app } = await usablePackage(mutation.db, actor, body.package.guid);
        const lifecycle =
          body.lifecycle === undefined ? null : await resolveLifecycle(mutation.db, body.lifecycle, lifecycleOf(app));
        if (app.lifecycle_type === 'docker') await requireFlag(mutation.db, actor, 'diego_docker');
        if (lifecycle !== null) await checkBuildpacks(mutation.db, lifecycle.buildpacks);
        const warnings = lifecycle?.warnings ?? (await stackWarnings(mutation.db, app));
        const build = await createBuild(mutation, deps, {
          app,
          packageGuid: row.guid,
          actor,
          ...(lifecycle === null ? {} : { buildpacks: lifecycle.buildpacks, stack: lifecycle.stack }),
          ...(body.staging_memory_in_mb == null ? {} : { memoryMb: body.staging_memory_in_mb }),
          ...(body.staging_disk_in_mb == null ? {} : { diskMb: body.staging_disk_in_mb }),
        });
        await writeMetadata(mutation, 'build', build.guid, body.metadata);
        const data = { build_guid: build.guid, package_guid: row.guid };
        await recordAppEvent(mutation, { actor, app, type: 'build.create', data });
        await recordBuildUsage(mutation, build, 'STAGING_STARTED');
        // Staged ahead, and ended before anybody asked.
        if (build.state !== 'STAGING') await recordBuildEnd(mutation, build);
        return { build, app, warnings };
      });
      deps.holds.own(request, 'build', build.guid);
      await logApi(deps, app.guid, `Creating build for app with guid ${app.guid}`);
      await deps.buildLogs.release(build.guid);
      return { status: 201, body: await show(deps, build), warnings };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/v3/builds/:guid',
    summary: 'One build; held while it is STAGING for who asked for it',
    responseSchema: buildAnswer,
    handle: async (deps, request) => {
      const guid = request.params.guid ?? '';
      const { row } = await deps.holds.wait(request, {
        kind: 'build',
        guid,
        concerns: (kind, changed) => kind === 'build' && changed === guid,
        read: () => seenBuild(deps.store.read, request.actor, guid),
        isFinal: ({ row }) => row.state !== 'STAGING',
      });
      await waitForTail(deps, request, row);
      return { status: 200, body: await show(deps, row) };
    },
  }),
  endpoint({
    method: 'PATCH',
    path: '/v3/builds/:guid',
    summary: 'Label a build',
    bodySchema: updateMetadata,
    responseSchema: buildAnswer,
    handle: async (deps, { actor, params, body }) => {
      const row = await deps.store.mutate(async mutation => {
        const found = await seenBuild(mutation.db, actor, params.guid ?? '');
        requireDeveloper(actor, appScope(found.app), 'Build');
        await writeMetadata(mutation, 'build', found.row.guid, body.metadata);
        return found.row;
      });
      return { status: 200, body: await show(deps, row) };
    },
  }),
];
