/**
 * Who leads. Embedded, the lock of the data folder proves that no other scheduler lives, so a new one takes over at once; its fence in every write is what
 * keeps a former one, should it still run, from changing anything.
 */
import { FencedError } from '@cupola/model/errors';
import type { Database } from '@cupola/store/schema';
import type { Store } from '@cupola/store/store';
import type { Kysely } from 'kysely';

const LEASE = 'scheduler';

export interface Leadership {
  readonly fence: number;
  /** For the first statement of every write. @throws FencedError when another scheduler has taken over. */
  check(db: Kysely<Database>): Promise<void>;
  /** Shows others that the holder lives, by a counter. */
  renew(): Promise<void>;
}

/** Takes the lease, whoever holds it. */
export async function takeLead(store: Store, holder: string): Promise<Leadership> {
  const { fence } = await store.note(({ db }) =>
    db
      .insertInto('leases')
      .values({ name: LEASE, holder, fence: 1, counter: 0 })
      .onConflict(conflict =>
        conflict.column('name').doUpdateSet(set => ({ holder, fence: set('leases.fence', '+', 1), counter: 0 })),
      )
      .returning('fence')
      .executeTakeFirstOrThrow(),
  );
  return {
    fence,
    check: async db => {
      const lease = await db.selectFrom('leases').select('fence').where('name', '=', LEASE).executeTakeFirst();
      if (lease?.fence !== fence) throw new FencedError('The scheduler');
    },
    renew: async () => {
      await store.note(({ db }) =>
        db
          .updateTable('leases')
          .set(set => ({ counter: set('counter', '+', 1) }))
          .where('name', '=', LEASE)
          .where('fence', '=', fence)
          .execute(),
      );
    },
  };
}
