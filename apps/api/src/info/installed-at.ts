import type { Database } from '@cupola/store/schema';
import type { Kysely } from 'kysely';

/** When the platform was started first, epoch ms: since then there are its buildpacks and its stack. */
export async function installedAt(db: Kysely<Database>): Promise<number> {
  const row = await db.selectFrom('settings').select('value').where('key', '=', 'admin_created').executeTakeFirst();
  return Number(row?.value ?? 0);
}
