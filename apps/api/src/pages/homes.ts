/** Where things lie, by what is kept for lists (docs/decisions/0024): also of what is about to go. */
import type { Database } from '@cupola/store/schema';
import type { ChangeScope } from '@cupola/store/store';
import type { Kysely } from 'kysely';
import { inChunks } from '../internal/views/in-chunks.ts';
import { among } from './filters.ts';
import type { PlacedList } from './scope.ts';

/** By guid. What no list shows, builds that nobody has asked for, has none. */
export async function readHomes(
  db: Kysely<Database>,
  list: Exclude<PlacedList, 'audit_events'>,
  guids: readonly string[],
): Promise<Map<string, Required<ChangeScope>>> {
  const rows = await inChunks(guids, some =>
    db
      .selectFrom('listed')
      .select(['guid', 'organization_guid as organizationGuid', 'space_guid as spaceGuid'])
      .where('list', '=', list)
      .where(among('guid', some))
      .execute(),
  );
  return new Map(rows.map(({ guid, ...home }) => [guid, home]));
}
