/**
 * The right to do something that one API alone should do, by name. Its holder bumps a counter; another takes over when that counter has not moved for
 * `ttlMs` by its own monotonic clock, since clocks of processes do not compare (failure-rules.md section 1). Two may hold it for a moment after a pause of
 * one of them: what is done under it must be harmless when it is done twice.
 */
import { randomUUID } from 'node:crypto';
import type { Store } from '@cupola/store/store';

interface Options {
  store: Pick<Store, 'note'>;
  name: string;
  ttlMs: number;
  monotonic(): number;
}

export interface NamedLease {
  /** Takes or keeps the lease. False: somebody else holds it. */
  hold(): Promise<boolean>;
  /** Gives it back, so that the next one need not wait. */
  release(): Promise<void>;
}

export function createNamedLease({ store, name, ttlMs, monotonic }: Options): NamedLease {
  const holder = randomUUID();
  /** What was last seen of another holder, and since when. */
  let seen: { holder: string; counter: number; sinceMs: number } | null = null;

  return {
    hold: () =>
      store.note(async ({ db }) => {
        const row = await db.selectFrom('leases').selectAll().where('name', '=', name).executeTakeFirst();
        if (row === undefined) {
          await db.insertInto('leases').values({ name, holder, fence: 1, counter: 1 }).execute();
          return true;
        }
        if (row.holder !== holder && row.holder !== FREE) {
          const hasMoved = seen?.holder !== row.holder || seen.counter !== row.counter;
          if (hasMoved) seen = { holder: row.holder, counter: row.counter, sinceMs: monotonic() };
          if (seen === null || monotonic() - seen.sinceMs < ttlMs) return false;
        }
        const fence = row.holder === holder ? row.fence : row.fence + 1;
        await db
          .updateTable('leases')
          .set({ holder, fence, counter: row.counter + 1 })
          .where('name', '=', name)
          .execute();
        return true;
      }),
    release: async () => {
      await store.note(({ db }) =>
        db.updateTable('leases').set({ holder: FREE }).where('name', '=', name).where('holder', '=', holder).execute(),
      );
    },
  };
}

const FREE = '';
