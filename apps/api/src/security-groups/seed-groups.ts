/** The groups that a platform begins with. Made once: who changes or deletes them is not contradicted by the next start. */
import { randomUUID } from 'node:crypto';
import { DEFAULT_GROUPS } from '@cupola/model/egress';
import type { Mutation } from '@cupola/store/store';

const DONE = 'security_groups_made';

/** Also for a store of before there were any. A group that has one of the names already is left as it is. */
export async function seedSecurityGroups({ db, now, changed }: Mutation): Promise<void> {
  const done = await db.selectFrom('settings').select('value').where('key', '=', DONE).executeTakeFirst();
  if (done !== undefined) return;
  for (const { name, rules } of DEFAULT_GROUPS) {
    const guid = randomUUID();
    await db
      .insertInto('security_groups')
      .values({
        guid,
        created_at: now,
        updated_at: now,
        name,
        rules_json: JSON.stringify(rules),
        running_default: 1,
        staging_default: 1,
      })
      .onConflict(conflict => conflict.column('name').doNothing())
      .execute();
    changed('security_group', guid);
  }
  await db
    .insertInto('settings')
    .values({ key: DONE, value: String(now) })
    .execute();
}
