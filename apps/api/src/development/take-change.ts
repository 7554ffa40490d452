/** A change of a development app: its tar is stored, then its row says that it is one, and the cells that run the app hear of it. */
import { type ChangeFacts, type CheckedChange, checkChange } from '@cupola/archive/check-change';
import { DEVELOPMENT_LIMITS } from '@cupola/model/development';
import { ForbiddenError, UnprocessableError } from '@cupola/model/errors';
import type { Database } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Kysely } from 'kysely';
import type { Actor } from '../access/actor.ts';
import { appScope, type ScopedApp, writableApp } from '../apps/find-app.ts';
import type { ApiDeps } from '../deps.ts';
import type { ApiRequest } from '../http/endpoint.ts';
import { requireSpace, whenFull } from '../packages/free-space.ts';
import { type DevelopmentRow, liveOn, requireDevelopment } from './development-apps.ts';

const PUSH_ANEW = 'Push it anew, which begins from what is there then.';

/** @throws UnprocessableError when it is not for what the app runs, or one too many; ArchiveRefusedError */
export async function takeChange(
  deps: ApiDeps,
  request: ApiRequest,
  { appGuid, dropletGuid }: { appGuid: string; dropletGuid: string },
): Promise<ChangeFacts & { sequence: number }> {
  const { store, blobs } = deps;
  const { actor, raw } = request;
  await nextSequence(store.read, (await ownApp(store.read, actor, appGuid)).app, { dropletGuid, sizeBytes: 0 });
  await requireSpace(deps, Number(raw.request.headers['content-length'] ?? 0));
  const { stored, facts } = await storeChange(blobs, checkChange(raw.request));
  const sequence = await store.mutate(async mutation => {
    const { db, now } = mutation;
    const { app, row: own } = await ownApp(db, actor, appGuid);
    const next = await nextSequence(db, app, { dropletGuid, sizeBytes: stored.sizeBytes });
    const row = { app_guid: appGuid, droplet_guid: dropletGuid, sequence: next, created_at: now };
    await db
      .insertInto('development_changes')
      .values({ ...row, digest: stored.digest, size_bytes: stored.sizeBytes })
      .execute();
    await forgetFormer(db, app);
    await liveOn(mutation, own);
    await tellCells(mutation, app);
    return next;
  });
  return { ...facts, sequence };
}

async function storeChange(blobs: ApiDeps['blobs'], { passed, facts }: CheckedChange) {
  try {
    const stored = await blobs.put(passed);
    return { stored, facts: await facts };
  } catch (error) {
    // What was wrong with it is told by its own word, whatever the store made of it.
    throw whenFull(
      await facts.then(
        () => error,
        refused => refused,
      ),
    );
  }
}

/** @throws NotFoundError, ForbiddenError when it is somebody else's. */
async function ownApp(
  db: Kysely<Database>,
  actor: Actor,
  appGuid: string,
): Promise<{ app: ScopedApp; row: DevelopmentRow }> {
  const app = await writableApp(db, actor, appGuid);
  const row = await requireDevelopment(db, appGuid);
  if (row.user_guid !== actor.guid)
    throw new ForbiddenError(`${app.name} is somebody else's development app. Begin your own: cupola dev --name NAME`);
  return { app, row };
}

async function nextSequence(
  db: Kysely<Database>,
  app: ScopedApp,
  { dropletGuid, sizeBytes }: { dropletGuid: string; sizeBytes: number },
): Promise<number> {
  if (app.current_droplet_guid !== dropletGuid)
    throw new UnprocessableError(
      `${app.name} was built anew since: this change is not for what it is now. ${PUSH_ANEW}`,
    );
  const { newest, bytes } = await db
    .selectFrom('development_changes')
    .select(({ fn }) => [fn.max('sequence').as('newest'), fn.sum('size_bytes').as('bytes')])
    .where('droplet_guid', '=', dropletGuid)
    .executeTakeFirstOrThrow();
  const { changesMax, changesMaxBytes } = DEVELOPMENT_LIMITS;
  if (Number(newest ?? 0) >= changesMax)
    throw new UnprocessableError(`${app.name} has had ${changesMax} changes since it was built. ${PUSH_ANEW}`);
  if (Number(bytes ?? 0) + sizeBytes > changesMaxBytes)
    throw new UnprocessableError(
      `The changes of ${app.name} since it was built are more than ${changesMaxBytes / 1024 / 1024} MB. ${PUSH_ANEW}`,
    );
  return Number(newest ?? 0) + 1;
}

/** Of droplets that neither run any more nor are next. */
async function forgetFormer(db: Kysely<Database>, { guid, current_droplet_guid }: ScopedApp): Promise<void> {
  const running = db
    .selectFrom('placements')
    .innerJoin('run_specs', 'run_specs.guid', 'placements.run_spec_guid')
    .select('run_specs.droplet_guid')
    .where('placements.app_guid', '=', guid);
  await db
    .deleteFrom('development_changes')
    .where('app_guid', '=', guid)
    .where('droplet_guid', '!=', current_droplet_guid ?? '')
    .where('droplet_guid', 'not in', running)
    .execute();
}

async function tellCells({ db, changed }: Mutation, app: ScopedApp): Promise<void> {
  const placed = await db.selectFrom('placements').select('guid').where('app_guid', '=', app.guid).execute();
  for (const { guid } of placed) changed('placement', guid, appScope(app));
}
