/**
 * The caches that builds keep for the next one lie with the stagers; what the store knows is how often they were thrown away. A build is told, and a stager
 * whose cache is of another generation begins with an empty one: nothing has to be reached, and a stager that was away does not bring an old cache back.
 */
import type { Database } from '@cupola/store/schema';
import type { Mutation } from '@cupola/store/store';
import { type Kysely, sql } from 'kysely';

/** Stands for every app. */
export const ALL_APPS = '';

/** Of one app's, or of all apps'. A build that runs already keeps what it has. */
export async function clearCaches({ db }: Mutation, appGuid: string): Promise<void> {
  await db
    .insertInto('cache_clearings')
    .values({ app_guid: appGuid, generation: 1 })
    .onConflict(conflict =>
      conflict.column('app_guid').doUpdateSet({ generation: sql`cache_clearings.generation + 1` }),
    )
    .execute();
}

/** Grows with each clearing that concerns the app; 0: there was none. */
export async function cacheGeneration(db: Kysely<Database>, appGuid: string): Promise<number> {
  const rows = await db
    .selectFrom('cache_clearings')
    .select('generation')
    .where('app_guid', 'in', [appGuid, ALL_APPS])
    .execute();
  return rows.reduce((sum, { generation }) => sum + generation, 0);
}
