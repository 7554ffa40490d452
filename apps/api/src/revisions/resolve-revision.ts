/** The revision that a start or a deployment makes current: the newest one, or a new one where something has changed since (CF: revision_resolver.rb). */
import { randomUUID } from 'node:crypto';
import { UnprocessableError } from '@cupola/model/errors';
import { type RevisionContent, type RevisionSidecar, revisionReasons } from '@cupola/model/revisions';
import type { Database, RevisionsTable } from '@cupola/store/schema';
import type { Sealer } from '@cupola/store/seal';
import type { Mutation } from '@cupola/store/store';
import type { Kysely, Selectable } from 'kysely';
import type { Actor } from '../access/actor.ts';
import { recordAppEvent } from '../apps/app-events.ts';
import { openVariables, sealVariables } from '../apps/environment.ts';
import type { ScopedApp } from '../apps/find-app.ts';
import type { ApiDeps } from '../deps.ts';
import { deleteMetadata } from '../metadata/metadata.ts';

export type RevisionRow = Selectable<RevisionsTable>;

/** As in CF, which counts in four digits. */
const VERSION_MAX = 9_999;

interface By {
  app: ScopedApp;
  actor: Actor;
}
type Deps = Pick<ApiDeps, 'sealer'>;

/** Null where the app has no revisions, or nothing to run yet. */
export async function resolveRevision(mutation: Mutation, deps: Deps, by: By): Promise<RevisionRow | null> {
  const { db } = mutation;
  const present = await readContent(db, deps.sealer, by.app.guid);
  if (by.app.revisions_enabled === 0 || present === null) return null;
  const latest = await latestRevision(db, by.app.guid);
  if (latest === undefined)
    return createRevision(mutation, deps, by, { content: present, reasons: ['Initial revision.'] });
  const reasons = revisionReasons(contentOf(latest, deps.sealer), present);
  return reasons.length === 0 ? latest : createRevision(mutation, deps, by, { content: present, reasons });
}

/** A new revision with the content of a former one. @throws UnprocessableError when that is what the newest one has. */
export async function rollbackRevision(
  mutation: Mutation,
  deps: Deps,
  by: By,
  target: RevisionRow,
): Promise<RevisionRow> {
  const latest = await latestRevision(mutation.db, by.app.guid);
  const content = contentOf(target, deps.sealer);
  const reasons = latest === undefined ? [] : revisionReasons(contentOf(latest, deps.sealer), content);
  if (reasons.length === 0)
    throw new UnprocessableError(
      'Unable to rollback. The code and configuration you are rolling back to is the same as the deployed revision.',
    );
  return createRevision(mutation, deps, by, {
    content,
    reasons: [...reasons, `Rolled back to revision ${target.version}.`],
  });
}

async function createRevision(
  mutation: Mutation,
  { sealer }: Deps,
  { app, actor }: By,
  { content, reasons }: { content: RevisionContent; reasons: readonly string[] },
): Promise<RevisionRow> {
  const { db, now, changed } = mutation;
  const latest = await latestRevision(db, app.guid);
  const version = latest === undefined || latest.version >= VERSION_MAX ? 1 : latest.version + 1;
  const taken = await db
    .deleteFrom('revisions')
    .where('app_guid', '=', app.guid)
    .where('version', '=', version)
    .returning('guid')
    .execute();
  await deleteMetadata(
    mutation,
    'revision',
    taken.map(({ guid }) => guid),
  );
  const row: RevisionRow = {
    guid: randomUUID(),
    // Two in one millisecond are told apart by their times too.
    created_at: Math.max(now, (latest?.created_at ?? 0) + 1),
    updated_at: now,
    app_guid: app.guid,
    version,
    droplet_guid: content.dropletGuid,
    environment_sealed: sealVariables(sealer, { ...content.environment }),
    commands_json: JSON.stringify(content.commands),
    sidecars_json: JSON.stringify(content.sidecars),
    description: reasons.join(' '),
  };
  await db.insertInto('revisions').values(row).execute();
  changed('revision', row.guid, { organizationGuid: app.organization_guid, spaceGuid: app.space_guid });
  const data = { revision_guid: row.guid, revision_version: row.version };
  await recordAppEvent(mutation, { actor, app, type: 'revision.create', data });
  return row;
}

async function latestRevision(db: Kysely<Database>, appGuid: string): Promise<RevisionRow | undefined> {
  return db
    .selectFrom('revisions')
    .selectAll()
    .where('app_guid', '=', appGuid)
    .orderBy('created_at', 'desc')
    .executeTakeFirst();
}

export function contentOf(row: RevisionRow, sealer: Sealer): RevisionContent {
  return {
    dropletGuid: row.droplet_guid,
    environment: openVariables(sealer, row.environment_sealed),
    commands: JSON.parse(row.commands_json) as RevisionContent['commands'],
    sidecars: JSON.parse(row.sidecars_json) as RevisionSidecar[],
  };
}

/** The app as it is set now; of several processes of a type the newest counts. Null without a droplet. */
async function readContent(db: Kysely<Database>, sealer: Sealer, appGuid: string): Promise<RevisionContent | null> {
  const app = await db
    .selectFrom('apps')
    .select(['current_droplet_guid', 'environment_sealed'])
    .where('guid', '=', appGuid)
    .executeTakeFirstOrThrow();
  if (app.current_droplet_guid === null) return null;
  const processes = await db
    .selectFrom('processes')
    .select(['type', 'command'])
    .where('app_guid', '=', appGuid)
    .orderBy('created_at')
    .orderBy('guid')
    .execute();
  const sidecars = await db.selectFrom('sidecars').selectAll().where('app_guid', '=', appGuid).execute();
  return {
    dropletGuid: app.current_droplet_guid,
    environment: openVariables(sealer, app.environment_sealed),
    commands: Object.fromEntries(processes.map(({ type, command }) => [type, command])),
    sidecars: sidecars.map(({ name, command, process_types_json, memory_mb }) => ({
      name,
      command,
      processTypes: JSON.parse(process_types_json) as string[],
      memoryMb: memory_mb,
    })),
  };
}
