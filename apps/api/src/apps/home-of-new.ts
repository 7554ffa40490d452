/** Where a new app may be made. */
import { UnprocessableError } from '@cupola/model/errors';
import type { Database } from '@cupola/store/schema';
import type { Kysely } from 'kysely';
import { maySeeSpace, requireDeveloper } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import { findSpace } from '../spaces/find-space.ts';
import type { AppHome } from './change-app.ts';

/** The space of a new app: hidden ones are not there. @throws UnprocessableError, ForbiddenError */
export async function homeOfNew(db: Kysely<Database>, actor: Actor, guid: string): Promise<AppHome> {
  const space = await findSpace(db, guid);
  const scope = { spaceGuid: guid, organizationGuid: space?.organization_guid ?? '' };
  if (space === undefined || !maySeeSpace(actor, scope))
    throw new UnprocessableError('Invalid space. Ensure that the space exists and you have access to it.');
  requireDeveloper(actor, scope, 'Space');
  return space;
}
