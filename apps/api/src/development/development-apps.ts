/**
 * Development apps: an app of somebody's own, whose files are changed where it runs (docs/decisions/0041). What is here runs inside a mutation: an app and that it
 * is one come and go together. An app that is none never becomes one, so no change reaches what serves others.
 */
import { DEVELOPMENT_LIMITS } from '@cupola/model/development';
import { NotFoundError, UnprocessableError } from '@cupola/model/errors';
import type { Database, DevelopmentAppsTable } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Kysely, Selectable } from 'kysely';
import type { Actor } from '../access/actor.ts';
import { recordAppEvent } from '../apps/app-events.ts';
import { type AppHome, createApp } from '../apps/change-app.ts';
import { endApp } from '../apps/end-app.ts';
import { findApp, type ScopedApp } from '../apps/find-app.ts';
import { resolveLifecycle } from '../apps/lifecycle.ts';
import { logApi } from '../apps/log-line.ts';
import type { ApiDeps } from '../deps.ts';
import { mapDefaultRoute } from '../routes/map-routes.ts';

export type DevelopmentRow = Selectable<DevelopmentAppsTable>;

const HOUR_MS = 3_600_000;

export function findDevelopment(db: Kysely<Database>, appGuid: string): Promise<DevelopmentRow | undefined> {
  return db.selectFrom('development_apps').selectAll().where('app_guid', '=', appGuid).executeTakeFirst();
}

/** @throws NotFoundError for an app that is none. */
export async function requireDevelopment(db: Kysely<Database>, appGuid: string): Promise<DevelopmentRow> {
  const row = await findDevelopment(db, appGuid);
  if (row === undefined) throw new NotFoundError('Development app');
  return row;
}

interface Asked {
  readonly actor: Actor;
  readonly home: AppHome;
  readonly name: string;
  readonly hours: number | null;
}

/** Made with its route if it is not there; it lives on from now. @throws UnprocessableError when the name is another's. */
export async function keepDevelopmentApp(
  mutation: Mutation,
  deps: Pick<ApiDeps, 'sealer' | 'config'>,
  asked: Asked,
): Promise<ScopedApp> {
  const { db, now } = mutation;
  const { actor, home, name } = asked;
  const known = await db
    .selectFrom('apps')
    .select('guid')
    .where('space_guid', '=', home.guid)
    .where(eb => eb(eb.fn<string>('lower', ['name']), '=', name.toLowerCase()))
    .executeTakeFirst();
  const before = known && (await findDevelopment(db, known.guid));
  if (known !== undefined) await requireOwn(db, { actor, name, row: before });
  const app = (known && (await findApp(db, known.guid))) ?? (await make(mutation, deps, asked));
  const hours = asked.hours ?? before?.hours ?? DEVELOPMENT_LIMITS.hoursDefault;
  const row = { hours, expires_at: now + hours * HOUR_MS };
  await db
    .insertInto('development_apps')
    .values({ ...row, app_guid: app.guid, user_guid: actor.guid, created_at: now })
    .onConflict(conflict => conflict.column('app_guid').doUpdateSet(row))
    .execute();
  return app;
}

/** @throws UnprocessableError */
async function requireOwn(
  db: Kysely<Database>,
  { actor, name, row }: { actor: Actor; name: string; row: DevelopmentRow | undefined },
): Promise<void> {
  if (row === undefined)
    throw new UnprocessableError(
      `${name} is an app already, and no development app. Name yours otherwise: cupola dev --name NAME`,
    );
  if (row.user_guid === actor.guid) return;
  const user = await db.selectFrom('users').select('username').where('guid', '=', row.user_guid).executeTakeFirst();
  throw new UnprocessableError(
    `${name} is the development app of ${user?.username ?? 'somebody else'}. Name yours otherwise: cupola dev --name NAME`,
  );
}

async function make(
  mutation: Mutation,
  deps: Pick<ApiDeps, 'sealer' | 'config'>,
  { actor, home, name }: Asked,
): Promise<ScopedApp> {
  const mine = await mutation.db
    .selectFrom('development_apps')
    .innerJoin('apps', 'apps.guid', 'development_apps.app_guid')
    .select('apps.name')
    .where('user_guid', '=', actor.guid)
    .where('space_guid', '=', home.guid)
    .execute();
  if (mine.length >= DEVELOPMENT_LIMITS.perUserMax)
    throw new UnprocessableError(
      `You have ${mine.length} development apps in this space, which is as many as you may have. Delete one: cupola delete ${mine[0]?.name}`,
    );
  const { type, buildpacks, stack } = await resolveLifecycle(mutation.db, undefined);
  const app = await createApp(mutation, deps, home, { name, type, buildpacks, stack, environment: {} });
  await recordAppEvent(mutation, { actor, app, type: 'create', data: { request: { name, development: true } } });
  await mapDefaultRoute(mutation, app, 'default', { actor, config: deps.config });
  await requireOwnRoute(mutation.db, app);
  return app;
}

/** An address that leads to another app would send it some of that one's requests. @throws UnprocessableError */
async function requireOwnRoute(db: Kysely<Database>, { guid, name }: ScopedApp): Promise<void> {
  const own = db.selectFrom('route_destinations').select('route_guid').where('app_guid', '=', guid);
  const shared = await db
    .selectFrom('route_destinations')
    .select('guid')
    .where('route_guid', 'in', own)
    .where('app_guid', '!=', guid)
    .executeTakeFirst();
  if (shared !== undefined)
    throw new UnprocessableError(
      `The address of ${name} leads to another app. Name yours otherwise: cupola dev --name NAME`,
    );
}

/** Somebody works with it: it lives on. */
export async function liveOn({ db, now }: Mutation, { app_guid, hours }: DevelopmentRow): Promise<void> {
  await db
    .updateTable('development_apps')
    .set({ expires_at: now + hours * HOUR_MS })
    .where('app_guid', '=', app_guid)
    .execute();
}

/** Of one pass of the sweeper: the others come in the next one. */
const BATCH = 20;

/** Those that nobody has changed for their time. */
export async function endDevelopmentApps(deps: Pick<ApiDeps, 'store' | 'now' | 'logs'>): Promise<number> {
  const { store, now } = deps;
  const overdue = (db: Kysely<Database>, at: number) =>
    db.selectFrom('development_apps').select('app_guid').where('expires_at', '<=', at);
  const over = await overdue(store.read, now()).limit(BATCH).execute();
  for (const { app_guid } of over) {
    const isOver = await store.mutate(async mutation => {
      // Somebody may have changed it meanwhile.
      const still = await overdue(mutation.db, mutation.now).where('app_guid', '=', app_guid).executeTakeFirst();
      if (still !== undefined) await endApp(mutation, app_guid, null);
      return still !== undefined;
    });
    if (isOver) await logApi(deps, app_guid, 'This development app has ended: nobody has changed it for its time');
  }
  return over.length;
}
