/** Whose copy it is: what audit events of its life have in common. */
import type { CopyReport } from '@cupola/contract/internal';
import type { Database, ProcessesTable } from '@cupola/store/schema';
import type { Kysely } from 'kysely';

export interface ProcessOfCopy extends Pick<ProcessesTable, 'type' | 'readiness_type'> {
  about: {
    target_guid: string;
    target_type: 'app';
    target_name: string;
    space_guid: string;
    organization_guid: string;
  };
  actor: { actor_guid: string; actor_type: 'process'; actor_name: string };
}

/** Null for a process, or an app, that is gone: there is nobody to tell. */
export async function processOf(db: Kysely<Database>, copy: CopyReport): Promise<ProcessOfCopy | null> {
  const found = await db
    .selectFrom('processes')
    .innerJoin('apps', 'apps.guid', 'processes.app_guid')
    .innerJoin('spaces', 'spaces.guid', 'apps.space_guid')
    .select(['processes.type', 'processes.readiness_type', 'apps.name', 'apps.space_guid', 'spaces.organization_guid'])
    .where('processes.guid', '=', copy.processGuid)
    .executeTakeFirst();
  if (found === undefined) return null;
  const { type, readiness_type, name, space_guid, organization_guid } = found;
  return {
    type,
    readiness_type,
    about: { target_guid: copy.appGuid, target_type: 'app', target_name: name, space_guid, organization_guid },
    actor: { actor_guid: copy.processGuid, actor_type: 'process', actor_name: type },
  };
}
