/**
 * Who leads. Embedded, the lock of the data folder proves that no other scheduler lives, so a new one takes over at once. In a cluster several wait: the
 * leader moves a counter, and who has seen it stand still for `LEAD_TTL_MS` by its own monotonic clock takes over, under a higher fence.
 *
 * The fence, read in the transaction of every write, is what keeps a former leader, frozen or cut off meanwhile, from changing anything: writes of all
 * processes go one after another (the lock on the feed's counter), so what it reads there is still so when its write is committed.
 */
import { FencedError } from '@cupola/model/errors';
import { CELL_LIMITS } from '@cupola/model/limits';
import type { Database } from '@cupola/store/schema';
import type { Store } from '@cupola/store/store';
import type { Kysely } from 'kysely';

const LEASE = 'scheduler';
/** Nobody holds it: the last one ended in order. */
const FREE = '';
/** design.md: nothing new is placed for that long after a leader was lost. */
export const LEAD_TTL_MS = 3 * CELL_LIMITS.heartbeatMs;

export interface Leadership {
  readonly fence: number;
  /** For the first statement of every write. @throws FencedError when another scheduler has taken over. */
  check(db: Kysely<Database>): Promise<void>;
  /** Shows others that the holder lives, by a counter. @throws FencedError */
  renew(): Promise<void>;
  /** Lets the next one begin at once: who waits hears of it by the feed. */
  release(): Promise<void>;
}

/** Takes the lease, whoever holds it. */
export async function takeLead(store: Pick<Store, 'note' | 'mutate'>, holder: string): Promise<Leadership> {
  const { fence } = await store.note(({ db }) => take(db, holder));
  return leadershipOf(store, { holder, fence });
}

function take(db: Kysely<Database>, holder: string): Promise<{ fence: number }> {
  return db
    .insertInto('leases')
    .values({ name: LEASE, holder, fence: 1, counter: 0 })
    .onConflict(conflict =>
      conflict.column('name').doUpdateSet(set => ({ holder, fence: set('leases.fence', '+', 1), counter: 0 })),
    )
    .returning('fence')
    .executeTakeFirstOrThrow();
}

/** What a waiting scheduler has seen of the leader, and since when by its own monotonic clock. */
export interface Seen {
  holder: string;
  fence: number;
  counter: number;
  sinceMs: number;
}

/** Takes the lease if its holder has not shown itself for too long; else answers what was seen, for the next look. */
export async function tryToLead(
  store: Pick<Store, 'note' | 'mutate' | 'read'>,
  { holder, seen, clockMs }: { holder: string; seen: Seen | null; clockMs: number },
): Promise<{ leadership: Leadership } | { seen: Seen }> {
  const now = await store.read.selectFrom('leases').selectAll().where('name', '=', LEASE).executeTakeFirst();
  if (now !== undefined && now.holder !== FREE) {
    const isSame = seen?.holder === now.holder && seen.fence === now.fence && seen.counter === now.counter;
    const { fence, counter } = now;
    if (!isSame) return { seen: { holder: now.holder, fence, counter, sinceMs: clockMs } };
    if (clockMs - seen.sinceMs < LEAD_TTL_MS) return { seen };
  }
  const taken = await store.note(async ({ db }) => {
    // Of several that wait the first one has it; the others see another holder.
    const row = await db.selectFrom('leases').selectAll().where('name', '=', LEASE).executeTakeFirst();
    const isAsSeen = row?.holder === now?.holder && row?.fence === now?.fence && row?.counter === now?.counter;
    return isAsSeen ? take(db, holder) : null;
  });
  if (taken === null) return { seen: { holder: '', fence: -1, counter: -1, sinceMs: clockMs } };
  return { leadership: leadershipOf(store, { holder, fence: taken.fence }) };
}

function leadershipOf(
  store: Pick<Store, 'note' | 'mutate'>,
  { holder, fence }: { holder: string; fence: number },
): Leadership {
  return {
    fence,
    check: async db => {
      const lease = await db.selectFrom('leases').select('fence').where('name', '=', LEASE).executeTakeFirst();
      if (lease?.fence !== fence) throw new FencedError('The scheduler');
    },
    renew: async () => {
      const { numUpdatedRows } = await store.note(({ db }) =>
        db
          .updateTable('leases')
          .set(set => ({ counter: set('counter', '+', 1) }))
          .where('name', '=', LEASE)
          .where('fence', '=', fence)
          .executeTakeFirst(),
      );
      if (Number(numUpdatedRows) === 0) throw new FencedError('The scheduler');
    },
    release: async () => {
      await store.mutate(async ({ db, changed }) => {
        const { numUpdatedRows } = await db
          .updateTable('leases')
          .set({ holder: FREE })
          .where('name', '=', LEASE)
          .where('fence', '=', fence)
          .where('holder', '=', holder)
          .executeTakeFirst();
        if (Number(numUpdatedRows) > 0) changed('scheduler', holder);
      });
    },
  };
}
