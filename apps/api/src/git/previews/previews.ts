/**
 * Previews: apps beside an app, one for each branch or pull request. What is here runs inside a mutation: an app and what it is a preview of come and go
 * together, so a kill in between leaves neither an app that nobody ends nor a row without one, and every step can be done twice.
 */
import type { GitSettingsAnswer } from '@cupola/contract/v3/git';
import { UnprocessableError } from '@cupola/model/errors';
import { PREVIEW_LIMITS, previewNames } from '@cupola/model/previews';
import type { Database, GitPreviewsTable } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Kysely, Selectable } from 'kysely';
import type { Actor } from '../../access/actor.ts';
import { recordAppEvent } from '../../apps/app-events.ts';
import { createApp, updateAppRow } from '../../apps/change-app.ts';
import { endApp } from '../../apps/end-app.ts';
import { mergeVariables, openVariables, sealVariables, type Variables } from '../../apps/environment.ts';
import { findApp, type ScopedApp } from '../../apps/find-app.ts';
import { logApi } from '../../apps/log-line.ts';
import type { ApiDeps } from '../../deps.ts';
import { defaultDomain, mapDefaultRoute } from '../../routes/map-routes.ts';
import { readSettings } from '../target.ts';

type PreviewRow = Selectable<GitPreviewsTable>;
export interface Preview {
  readonly app: ScopedApp;
  readonly row: PreviewRow;
}

export interface PreviewAsked {
  readonly actor: Actor;
  /** Whose preview it is. */
  readonly of: ScopedApp;
  /** A branch, or a pull request's `#12`. */
  readonly source: string;
  /** That a forge has told of; null: pushed here. */
  readonly commit: string | null;
}

const HOUR_MS = 3_600_000;

export function isOfFork({ source }: Pick<PreviewRow, 'source'>): boolean {
  return source.startsWith('#');
}

export function previewsOf(db: Kysely<Database>, ofAppGuid: string): Promise<(PreviewRow & { name: string })[]> {
  return db
    .selectFrom('git_previews')
    .innerJoin('apps', 'apps.guid', 'git_previews.app_guid')
    .where('of_app_guid', '=', ofAppGuid)
    .selectAll('git_previews')
    .select('apps.name as name')
    .orderBy('apps.name')
    .execute();
}

export function findPreview(db: Kysely<Database>, ofAppGuid: string, source: string): Promise<PreviewRow | undefined> {
  return db
    .selectFrom('git_previews')
    .selectAll()
    .where('of_app_guid', '=', ofAppGuid)
    .where('source', '=', source)
    .executeTakeFirst();
}

/** Made, with its route, if it is not there; and it lives on from now. @throws UnprocessableError when there may be none. */
export async function keepPreview(
  mutation: Mutation,
  deps: Pick<ApiDeps, 'sealer' | 'config'>,
  asked: PreviewAsked,
): Promise<Preview> {
  const { db, now, changed } = mutation;
  const { of, source, commit } = asked;
  const settings = await requireAllowed(db, of, source);
  const known = await findPreview(db, of.guid, source);
  const app = (known && (await findApp(db, known.app_guid))) ?? (await make(mutation, deps, asked));
  const row = { of_app_guid: of.guid, source, commit_id: commit, expires_at: now + settings.preview_hours * HOUR_MS };
  await db
    .insertInto('git_previews')
    .values({ ...row, app_guid: app.guid, created_at: now })
    .onConflict(conflict => conflict.column('app_guid').doUpdateSet(row))
    .execute();
  changed('app', app.guid, { organizationGuid: of.organization_guid, spaceGuid: of.space_guid });
  const updated = isOfFork({ source }) ? app : await giveVariables(mutation, deps, { of, app }, settings);
  return { app: updated, row: { ...row, app_guid: app.guid, created_at: known?.created_at ?? now } };
}

/** @throws UnprocessableError */
async function requireAllowed(
  db: Kysely<Database>,
  { guid, name }: { guid: string; name: string },
  source: string,
): Promise<GitSettingsAnswer> {
  const settings = await readSettings(db, guid);
  const isAllowed = settings.previews === 'forks' || (settings.previews === 'on' && !isOfFork({ source }));
  if (isAllowed) return settings;
  throw new UnprocessableError(
    isOfFork({ source })
      ? `Pull requests of forks have no preview of ${name}. Allow it: cupola git:config ${name} --previews forks`
      : `${name} has no previews. Switch them on: cupola git:config ${name} --previews on`,
  );
}

/** Of what was ordered a while ago. @throws UnprocessableError when the app is a preview that its app does not allow any more. */
export async function requireStillAllowed(db: Kysely<Database>, appGuid: string): Promise<void> {
  const known = await db
    .selectFrom('git_previews')
    .innerJoin('apps', 'apps.guid', 'git_previews.of_app_guid')
    .select(['apps.guid', 'apps.name', 'git_previews.source'])
    .where('git_previews.app_guid', '=', appGuid)
    .executeTakeFirst();
  if (known !== undefined) await requireAllowed(db, known, known.source);
}

/** As the app is built, and as large as its web process, but nothing of what it knows. */
async function make(
  mutation: Mutation,
  deps: Pick<ApiDeps, 'sealer' | 'config'>,
  { actor, of, source }: PreviewAsked,
): Promise<ScopedApp> {
  const { db } = mutation;
  const { length } = await previewsOf(db, of.guid);
  if (length >= PREVIEW_LIMITS.perAppMax)
    throw new UnprocessableError(
      `${of.name} has ${length} previews, which is as many as it may have. Delete one: cupola git:previews ${of.name}`,
    );
  const name = await freeName(db, of, source);
  const home = {
    ...{ guid: of.space_guid, name: of.space_name },
    ...{ organization_guid: of.organization_guid, organization_name: of.organization_name },
  };
  const app = await createApp(mutation, deps, home, {
    ...{ name, type: 'buildpack', stack: of.stack, environment: {} },
    buildpacks: JSON.parse(of.buildpacks_json) as string[],
  });
  await recordAppEvent(mutation, { actor, app, type: 'create', data: { request: { name, preview_of: of.name } } });
  const size = await db
    .selectFrom('processes')
    .select(['memory_mb', 'disk_mb'])
    .where('app_guid', '=', of.guid)
    .where('type', '=', 'web')
    .executeTakeFirst();
  if (size !== undefined) await db.updateTable('processes').set(size).where('guid', '=', app.guid).execute();
  await mapDefaultRoute(mutation, app, 'default', { actor, config: deps.config });
  return app;
}

/** One that neither an app of the space nor a route has: what has it would be replaced, or share its visitors. */
async function freeName(db: Kysely<Database>, of: ScopedApp, source: string): Promise<string> {
  const names = previewNames(of.name, source);
  const domain = await defaultDomain(db, of.organization_guid);
  for (const name of names) {
    const app = await db
      .selectFrom('apps')
      .select('guid')
      .where('space_guid', '=', of.space_guid)
      .where(eb => eb(eb.fn<string>('lower', ['name']), '=', name))
      .executeTakeFirst();
    const route = await db
      .selectFrom('routes')
      .select('guid')
      .where('domain_guid', '=', domain?.guid ?? '')
      .where('host', '=', name)
      .executeTakeFirst();
    if (app === undefined && route === undefined) return name;
  }
  throw new UnprocessableError(
    `${names.join(' and ')} are apps or routes already, so ${of.name} has no preview of ${source}. Rename or delete one of them, or the branch.`,
  );
}

/** Those that are configured, as they are now. A fork never gets here. */
async function giveVariables(
  mutation: Mutation,
  { sealer }: Pick<ApiDeps, 'sealer'>,
  { of, app }: { of: ScopedApp; app: ScopedApp },
  { preview_variables: names }: { preview_variables: readonly string[] },
): Promise<ScopedApp> {
  const present = openVariables(sealer, of.environment_sealed);
  const given: Variables = Object.fromEntries(Object.entries(present).filter(([name]) => names.includes(name)));
  if (Object.keys(given).length === 0) return app;
  const environment = mergeVariables(openVariables(sealer, app.environment_sealed), given);
  return updateAppRow(mutation, app, { environment_sealed: sealVariables(sealer, environment) });
}

/**
 * What a change of the app's settings means to previews that are there: those of forks end where forks may have none any more, and variables that are given no
 * more are taken away; it counts from the next push or restart. Others live for their time. Returns the names of those that have ended.
 */
export async function changePreviews(
  mutation: Mutation,
  { sealer }: Pick<ApiDeps, 'sealer'>,
  {
    actor,
    ofAppGuid,
    before,
    after,
  }: { actor: Actor; ofAppGuid: string; before: GitSettingsAnswer; after: GitSettingsAnswer },
): Promise<string[]> {
  const taken = before.preview_variables.filter(name => !after.preview_variables.includes(name));
  const ended: string[] = [];
  for (const preview of await previewsOf(mutation.db, ofAppGuid)) {
    if (isOfFork(preview) && after.previews !== 'forks') {
      await endApp(mutation, preview.app_guid, actor);
      ended.push(preview.name);
    } else if (!isOfFork(preview) && taken.length > 0) await takeVariables(mutation, sealer, preview.app_guid, taken);
  }
  return ended;
}

async function takeVariables(
  mutation: Mutation,
  sealer: ApiDeps['sealer'],
  appGuid: string,
  names: readonly string[],
): Promise<void> {
  const app = await findApp(mutation.db, appGuid);
  if (app === undefined) return;
  const nothing = Object.fromEntries(names.map(name => [name, null]));
  const environment = mergeVariables(openVariables(sealer, app.environment_sealed), nothing);
  await updateAppRow(mutation, app, { environment_sealed: sealVariables(sealer, environment) });
}

/** Of one pass of the sweeper: the others come in the next one. */
const BATCH = 20;

/** Previews that nobody has pushed to for their time, and those of apps that are gone. */
export async function endPreviews(deps: Pick<ApiDeps, 'store' | 'now' | 'logs'>): Promise<number> {
  const { store, now } = deps;
  const over = await overdue(store.read, now()).limit(BATCH).execute();
  for (const { app_guid, of_app_guid, name } of over) {
    const isOver = await store.mutate(async mutation => {
      // Somebody may have pushed to it meanwhile.
      const still = await overdue(mutation.db, mutation.now).where('app_guid', '=', app_guid).executeTakeFirst();
      if (still !== undefined) await endApp(mutation, app_guid, null);
      return still !== undefined;
    });
    if (isOver) await logApi(deps, of_app_guid, `git: ${name} has ended: nobody has pushed to it for its time`);
  }
  return over.length;
}

function overdue(db: Kysely<Database>, now: number) {
  return db
    .selectFrom('git_previews')
    .innerJoin('apps', 'apps.guid', 'git_previews.app_guid')
    .select(['app_guid', 'of_app_guid', 'apps.name'])
    .where(({ or, eb }) =>
      or([eb('expires_at', '<=', now), eb('of_app_guid', 'not in', db.selectFrom('apps').select('guid'))]),
    );
}
