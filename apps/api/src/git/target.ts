/** Where a push by git leads, for who may push there: everybody else hears the same, whether there is such an app or not. */
import type { GitSettingsAnswer, GitTarget } from '@cupola/contract/v3/git';
import { NotFoundError } from '@cupola/model/errors';
import { GIT_DEFAULTS } from '@cupola/model/git-rules';
import { PREVIEW_LIMITS } from '@cupola/model/previews';
import type { Database } from '@cupola/store/schema';
import type { Kysely } from 'kysely';
import { requireDeveloper } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';

export interface TargetName {
  organization: string;
  space: string;
  app: string;
}

/** @throws NotFoundError for a space that is not there or hidden, ForbiddenError for who sees it and may not push. */
export async function findTarget(
  db: Kysely<Database>,
  actor: Actor,
  { organization, space, app: name }: TargetName,
): Promise<GitTarget> {
  const place = await db
    .selectFrom('spaces')
    .innerJoin('organizations', 'organizations.guid', 'spaces.organization_guid')
    .select([
      'spaces.guid as space_guid',
      'spaces.name as space_name',
      'organizations.guid as organization_guid',
      'organizations.name as organization_name',
    ])
    .where(({ and, or, eb, fn }) => {
      const is = (table: 'spaces' | 'organizations', text: string) =>
        or([eb(`${table}.guid`, '=', text), eb(fn<string>('lower', [`${table}.name`]), '=', text.toLowerCase())]);
      return and([is('organizations', organization), is('spaces', space)]);
    })
    .executeTakeFirst();
  if (place === undefined) throw new NotFoundError('Repository');
  requireDeveloper(actor, { spaceGuid: place.space_guid, organizationGuid: place.organization_guid }, 'Repository');
  const app = await db
    .selectFrom('apps')
    .select(['guid', 'name'])
    .where('space_guid', '=', place.space_guid)
    .where(eb => eb(eb.fn<string>('lower', ['name']), '=', name.toLowerCase()))
    .executeTakeFirst();
  return {
    organization: { guid: place.organization_guid, name: place.organization_name },
    space: { guid: place.space_guid, name: place.space_name },
    name: app?.name ?? name,
    app: app ?? null,
    settings: await readSettings(db, app?.guid ?? null),
    preview: app === undefined ? null : await readPreview(db, app.guid),
  };
}

async function readPreview(db: Kysely<Database>, appGuid: string): Promise<GitTarget['preview']> {
  const row = await db
    .selectFrom('git_previews')
    .innerJoin('apps', 'apps.guid', 'git_previews.of_app_guid')
    .select(['apps.guid', 'apps.name', 'git_previews.source'])
    .where('git_previews.app_guid', '=', appGuid)
    .executeTakeFirst();
  return row === undefined ? null : { of: { guid: row.guid, name: row.name }, is_fork: row.source.startsWith('#') };
}

/** Null: of an app that is not there yet. A preview has those of its app, and no previews of its own. */
export async function readSettings(db: Kysely<Database>, appGuid: string | null): Promise<GitSettingsAnswer> {
  const preview = appGuid === null ? null : await readPreview(db, appGuid);
  const row = await db
    .selectFrom('git_settings')
    .selectAll()
    .where('app_guid', '=', preview?.of.guid ?? appGuid ?? '')
    .executeTakeFirst();
  return {
    branch: row?.branch ?? GIT_DEFAULTS.branch,
    on_failure: row?.on_failure ?? GIT_DEFAULTS.onFailure,
    submodules: row?.submodules ?? GIT_DEFAULTS.submodules,
    previews: preview === null ? (row?.previews ?? 'off') : 'off',
    preview_hours: row?.preview_hours ?? PREVIEW_LIMITS.hoursDefault,
    preview_variables: JSON.parse(row?.preview_variables_json ?? '[]') as string[],
  };
}
