/** What the operator wants of a cell; the scheduler empties it, and says so in its state. */
import { NotFoundError } from '@cupola/model/errors';
import type { Mutation } from '@cupola/store/store';

/** Asked again, it goes on as it was. @throws NotFoundError */
export async function wishDrain({ db, now, changed }: Mutation, cellId: string, drain: boolean): Promise<void> {
  const known = await db.selectFrom('cells').select('drained_at').where('cell_id', '=', cellId).executeTakeFirst();
  if (known === undefined) throw new NotFoundError('Cell');
  await db
    .updateTable('cells')
    .set({ drained_at: drain ? (known.drained_at ?? now) : null })
    .where('cell_id', '=', cellId)
    .execute();
  changed('cell', cellId);
}
