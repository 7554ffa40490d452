import type { Store } from '@cupola/store/store';
import type { BuildQueue } from './build-queue.ts';

/** The queue as a table of the store, for one machine. Wake-ups stay in this process; the store's clock ends leases. */
export function embeddedQueue(store: Pick<Store, 'note'>): BuildQueue {
  const listeners = new Set<() => void>();
  return {
    offer: async ({ buildGuid, priority }) => {
      await store.note(async ({ db, now }) => {
        await db
          .insertInto('build_queue')
          .values({ build_guid: buildGuid, priority, offered_at: now, leased_by: null, leased_until: null })
          .onConflict(conflict => conflict.column('build_guid').doNothing())
          .execute();
      });
      for (const listener of listeners) listener();
    },
    next: (stagerId, leaseMs) =>
      store.note(async ({ db, now }) => {
        const most = db
          .selectFrom('build_queue')
          .select('build_guid')
          .where(({ or, eb }) => or([eb('leased_until', 'is', null), eb('leased_until', '<', now)]))
          .orderBy('priority')
          .orderBy('offered_at')
          .orderBy('build_guid')
          .limit(1);
        const row = await db
          .updateTable('build_queue')
          .set({ leased_by: stagerId, leased_until: now + leaseMs })
          .where('build_guid', '=', most)
          .returning(['build_guid', 'priority'])
          .executeTakeFirst();
        return row === undefined ? null : { buildGuid: row.build_guid, priority: row.priority };
      }),
    done: async buildGuid => {
      await store.note(({ db }) => db.deleteFrom('build_queue').where('build_guid', '=', buildGuid).execute());
    },
    onOffer: listener => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: async () => listeners.clear(),
  };
}
