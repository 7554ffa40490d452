/** Where a push by git leads, for who may push there: everybody else hears the same, whether there is such an app or not. */
import type { GitSettingsAnswer, GitTarget } from '@cupola/contract/v3/git';
import { NotFoundError } from '@cupola/model/errors';
import { GIT_DEFAULTS } from '@cupola/model/git-rules';
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
  };
}

/** Null: of an app that is not there yet. */
export async function readSettings(db: Kysely<Database>, appGuid: string | null): Promise<GitSettingsAnswer> {
  const row =
    appGuid === null
      ? undefined
      : await db.selectFrom('git_settings').selectAll().where('app_guid', '=', appGuid).executeTakeFirst();
  return {
    branch: row?.branch ?? GIT_DEFAULTS.branch,
    on_failure: row?.on_failure ?? GIT_DEFAULTS.onFailure,
    submodules: row?.submodules ?? GIT_DEFAULTS.submodules,
  };
}
