/** Finding a service instance for an actor, with its space's organization, in one query. */
import { NotFoundError } from '@cupola/model/errors';
import type { Database, ServiceInstancesTable } from '@cupola/store/schema';
import type { Kysely, Selectable } from 'kysely';
import { maySeeSpace, requireDeveloper } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import { appScope } from '../apps/find-app.ts';

export type InstanceRow = Selectable<ServiceInstancesTable>;
export interface ScopedInstance extends InstanceRow {
  organization_guid: string;
}

export async function findInstance(db: Kysely<Database>, guid: string): Promise<ScopedInstance | undefined> {
  return db
    .selectFrom('service_instances')
    .innerJoin('spaces', 'spaces.guid', 'service_instances.space_guid')
    .where('service_instances.guid', '=', guid)
    .selectAll('service_instances')
    .select('spaces.organization_guid')
    .executeTakeFirst();
}

/** @throws NotFoundError for one that is not there or that the actor may not see. */
export async function seenInstance(db: Kysely<Database>, actor: Actor, guid: string): Promise<ScopedInstance> {
  const instance = await findInstance(db, guid);
  if (instance === undefined || !maySeeSpace(actor, appScope(instance))) throw new NotFoundError('Service instance');
  return instance;
}

/** As `seenInstance`, for space developers. @throws ForbiddenError */
export async function writableInstance(db: Kysely<Database>, actor: Actor, guid: string): Promise<ScopedInstance> {
  const instance = await seenInstance(db, actor, guid);
  requireDeveloper(actor, appScope(instance), 'Service instance');
  return instance;
}
