/** Making and changing an app inside a mutation: what `POST` and `PATCH /v3/apps` and manifests share. */
import { randomUUID } from 'node:crypto';
import { UnprocessableError } from '@cupola/model/errors';
import type { AppsTable } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import type { Selectable } from 'kysely';
import type { ApiDeps } from '../deps.ts';
import { createProcess } from '../processes/change-process.ts';
import { sealVariables, type Variables } from './environment.ts';
import type { ScopedApp } from './find-app.ts';

export interface AppHome {
  guid: string;
  name: string;
  organization_guid: string;
  organization_name: string;
}

export interface NewApp {
  name: string;
  type: 'buildpack' | 'docker';
  buildpacks: string[];
  stack: string;
  environment: Variables;
}

/** With its `web` process, whose guid is the app's, as in CF. @throws UnprocessableError when the name is taken in the space. */
export async function createApp(
  mutation: Mutation,
  deps: Pick<ApiDeps, 'sealer'>,
  space: AppHome,
  asked: NewApp,
): Promise<ScopedApp> {
  const { db, now, changed } = mutation;
  await requireFreeName(mutation, space.guid, asked.name);
  const row: Selectable<AppsTable> = {
    guid: randomUUID(),
    created_at: now,
    updated_at: now,
    name: asked.name,
    space_guid: space.guid,
    state: 'STOPPED',
    stopped_at: null,
    lifecycle_type: asked.type,
    buildpacks_json: JSON.stringify(asked.buildpacks),
    stack: asked.stack,
    current_droplet_guid: null,
    environment_sealed: sealVariables(deps.sealer, asked.environment),
    ssh_enabled: 1,
    revisions_enabled: 1,
  };
  await db.insertInto('apps').values(row).execute();
  const app: ScopedApp = {
    ...row,
    space_name: space.name,
    organization_guid: space.organization_guid,
    organization_name: space.organization_name,
  };
  changed('app', app.guid, { organizationGuid: space.organization_guid, spaceGuid: space.guid });
  await createProcess(mutation, app, { guid: app.guid, type: 'web' });
  return app;
}

/** Names are one whatever their case. @throws UnprocessableError in the words that the cf CLI takes for "is there already". */
export async function requireFreeName(
  { db }: Mutation,
  spaceGuid: string,
  name: string,
  exceptGuid: string | null = null,
): Promise<void> {
  const other = await db
    .selectFrom('apps')
    .select('guid')
    .where('space_guid', '=', spaceGuid)
    .where(eb => eb(eb.fn<string>('lower', ['name']), '=', eb.fn<string>('lower', [eb.val(name)])))
    .executeTakeFirst();
  if (other !== undefined && other.guid !== exceptGuid)
    throw new UnprocessableError(`App with the name '${name}' already exists.`, 'UniquenessError');
}

/** Takes effect at the next start or staging, as in CF. */
export async function updateAppRow(
  { db, now, changed }: Mutation,
  app: ScopedApp,
  row: Partial<
    Pick<
      Selectable<AppsTable>,
      'name' | 'buildpacks_json' | 'stack' | 'environment_sealed' | 'ssh_enabled' | 'revisions_enabled'
    >
  >,
): Promise<ScopedApp> {
  await db
    .updateTable('apps')
    .set({ ...row, updated_at: now })
    .where('guid', '=', app.guid)
    .execute();
  changed('app', app.guid, { organizationGuid: app.organization_guid, spaceGuid: app.space_guid });
  return { ...app, ...row, updated_at: now };
}
