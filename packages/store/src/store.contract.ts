/** What every store promises. An adapter's test file calls it with a way to open an empty one. */
import { describe, expect, test, vi } from 'vitest';
import { UniqueViolationError } from './errors.ts';
import type { Change, Mutation, Store } from './store.ts';

interface Opened extends AsyncDisposable {
  store: Store;
}
/** `changesKept`: so many changes at least, and not many times more, stay on the feed. */
type Open = (options?: { changesKept?: number; now?: () => number }) => Promise<Opened>;

const put =
  (key: string, value = '') =>
  async ({ db, changed }: Mutation): Promise<void> => {
    await db.insertInto('settings').values({ key, value }).execute();
    changed('app', key);
  };
const settings = async (store: Store): Promise<string[]> => {
  const rows = await store.read.selectFrom('settings').select('key').orderBy('key').execute();
  return rows.map(({ key }) => key);
};
const fail = async (): Promise<never> => {
  throw new Error('no');
};
const guids = (changes: readonly Change[] | null): string[] | undefined => changes?.map(({ guid }) => guid);

export function storeContract(open: Open): void {
  describe('mutate()', () => {
    test('mutate() gives back what its work gave, once `read` sees the rows', async () => {
      await using opened = await open();
      const given = await opened.store.mutate(async mutation => {
        await put('a')(mutation);
        return 'given';
      });
      expect(given).toBe('given');
      expect(await settings(opened.store)).toEqual(['a']);
    });

    test('mutate() shows `read` nothing before its commit', async () => {
      await using opened = await open();
      let seen: string[] | undefined;
      await opened.store.mutate(async mutation => {
        await put('a')(mutation);
        seen = await settings(opened.store);
      });
      expect(seen).toEqual([]);
    });

    test('mutate() undoes the one mutation that fails, rows and changes, and keeps the others of its moment', async () => {
      await using opened = await open();
      const start = await opened.store.cursor();
      const results = await Promise.allSettled([
        opened.store.mutate(put('a')),
        opened.store.mutate(async mutation => {
          await put('b')(mutation);
          throw new Error('changed my mind');
        }),
        opened.store.mutate(put('c')),
      ]);
      expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      expect(await settings(opened.store)).toEqual(['a', 'c']);
      expect(guids(await opened.store.changesAfter(start, 10))).toEqual(['a', 'c']);
    });

    test('mutate() throws what the work threw', async () => {
      await using opened = await open();
      const error = new Error('mine');
      await expect(opened.store.mutate(() => Promise.reject(error))).rejects.toBe(error);
    });

    test('mutate() sees the rows of the mutations called before it', async () => {
      await using opened = await open();
      const first = opened.store.mutate(put('a', '1'));
      const second = opened.store.mutate(({ db }) =>
        db.selectFrom('settings').select('value').where('key', '=', 'a').executeTakeFirst(),
      );
      await first;
      expect((await second)?.value).toBe('1');
    });

    test('mutate() names the constraint of a row that is there already', async () => {
      await using opened = await open();
      await opened.store.mutate(put('a'));
      const error = await opened.store.mutate(put('a')).catch(caught => caught);
      expect(error).toBeInstanceOf(UniqueViolationError);
      expect(error.constraint).toBe('settings_key');
    });

    test('mutate() inside a mutation is refused, since it would wait for itself', async () => {
      await using opened = await open();
      const outer = opened.store.mutate(() => opened.store.mutate(put('a')));
      await expect(outer).rejects.toThrow('mutation inside a mutation');
      expect(await settings(opened.store)).toEqual([]);
    });

    test('mutate() gives all of one mutation the same time', async () => {
      let clock = 1_000;
      await using opened = await open({ now: () => clock++ });
      const [before, after] = await opened.store.mutate(async mutation => {
        const first = mutation.now;
        await put('a')(mutation);
        return [first, mutation.now];
      });
      expect(after).toBe(before);
    });

    test('mutate() lets timers run between groups', async () => {
      await using opened = await open();
      let turns = 0;
      let over = false;
      const turn = (): void => {
        turns++;
        if (!over) setImmediate(turn);
      };
      setImmediate(turn);
      await Promise.all(Array.from({ length: 320 }, (_, index) => opened.store.mutate(put(`k${index}`))));
      over = true;
      expect(turns).toBeGreaterThanOrEqual(9);
    });

    test('mutate() takes booleans, and gives whole numbers back as numbers', async () => {
      await using opened = await open();
      await opened.store.mutate(({ db }) =>
        db
          .insertInto('feature_flags')
          .values({
            name: 'f',
            enabled: true as unknown as 1,
            custom_error_message: null,
            updated_at: 1_764_000_000_000,
          })
          .execute(),
      );
      const row = await opened.store.read.selectFrom('feature_flags').selectAll().executeTakeFirst();
      expect(row).toEqual({ name: 'f', enabled: 1, custom_error_message: null, updated_at: 1_764_000_000_000 });
    });
  });

  describe('note()', () => {
    test('note() writes without moving the revision, and tells no one', async () => {
      await using opened = await open();
      const listener = vi.fn();
      opened.store.subscribe(listener);
      const before = await opened.store.cursor();
      await opened.store.note(({ db }) => db.insertInto('settings').values({ key: 'n', value: '' }).execute());
      expect(await opened.store.cursor()).toEqual(before);
      expect(listener).not.toHaveBeenCalled();
      expect(await settings(opened.store)).toEqual(['n']);
    });

    test('note() that fails undoes its own writes only', async () => {
      await using opened = await open();
      const kept = opened.store.mutate(put('a'));
      const undone = opened.store.note(async ({ db }) => {
        await db.insertInto('settings').values({ key: 'n', value: '' }).execute();
        await fail();
      });
      await expect(undone).rejects.toThrow('no');
      await kept;
      expect(await settings(opened.store)).toEqual(['a']);
    });
  });

  describe('the feed', () => {
    test('cursor() of a new store is at revision 0, in an epoch of its own', async () => {
      await using one = await open();
      await using two = await open();
      const [first, second] = [await one.store.cursor(), await two.store.cursor()];
      expect([first.revision, second.revision]).toEqual([0, 0]);
      expect(first.epoch).not.toBe(second.epoch);
    });

    test('changesAfter() gives kind, guid and scope, in the order of the mutations', async () => {
      await using opened = await open();
      const start = await opened.store.cursor();
      await opened.store.mutate(async ({ changed }) => {
        changed('app', 'g1', { organizationGuid: 'o', spaceGuid: 's' });
        changed('route', 'g2');
      });
      expect(await opened.store.changesAfter(start, 10)).toEqual([
        { revision: start.revision + 1, kind: 'app', guid: 'g1', organizationGuid: 'o', spaceGuid: 's' },
        { revision: start.revision + 2, kind: 'route', guid: 'g2', organizationGuid: null, spaceGuid: null },
      ]);
    });

    test('changesAfter() goes on where a limit cut, even inside one mutation', async () => {
      await using opened = await open();
      const start = await opened.store.cursor();
      await opened.store.mutate(async ({ changed }) => {
        for (const guid of ['a', 'b', 'c']) changed('app', guid);
      });
      const first = await opened.store.changesAfter(start, 2);
      const rest = await opened.store.changesAfter({ ...start, revision: first?.at(-1)?.revision ?? 0 }, 2);
      expect([guids(first), guids(rest)]).toEqual([['a', 'b'], ['c']]);
    });

    test('changesAfter() is empty at the newest position', async () => {
      await using opened = await open();
      await opened.store.mutate(put('a'));
      expect(await opened.store.changesAfter(await opened.store.cursor(), 10)).toEqual([]);
    });

    test('changesAfter() is null for another epoch and for a revision that never was', async () => {
      await using opened = await open();
      await opened.store.mutate(put('a'));
      const now = await opened.store.cursor();
      expect(await opened.store.changesAfter({ ...now, epoch: 'other' }, 10)).toBeNull();
      expect(await opened.store.changesAfter({ ...now, revision: now.revision + 1 }, 10)).toBeNull();
    });

    test('newEpoch() ends every cursor, and leaves the revision', async () => {
      await using opened = await open();
      const before = await opened.store.cursor();
      await opened.store.mutate(put('a'));
      await opened.store.newEpoch();
      expect(await opened.store.changesAfter(before, 10)).toBeNull();
      expect((await opened.store.cursor()).revision).toBe(1);
    });

    test('changesAfter() is null for what was compacted away, and whole for what was not', async () => {
      await using opened = await open({ changesKept: 50 });
      const start = await opened.store.cursor();
      for (let index = 0; index < 120; index++) await opened.store.mutate(put(`k${index}`));
      const now = await opened.store.cursor();
      expect(await opened.store.changesAfter(start, 10)).toBeNull();
      expect(await opened.store.changesAfter({ ...now, revision: now.revision - 50 }, 100)).toHaveLength(50);
    });

    test('changesAfter() never skips while many write, and each change is there once', async () => {
      await using opened = await open();
      let cursor = await opened.store.cursor();
      const seen: string[] = [];
      let writing = true;
      const reader = async (): Promise<void> => {
        for (;;) {
          const last = !writing;
          const changes = (await opened.store.changesAfter(cursor, 7)) ?? [];
          seen.push(...changes.map(({ guid }) => guid));
          cursor = { ...cursor, revision: changes.at(-1)?.revision ?? cursor.revision };
          if (last && changes.length === 0) return;
          await new Promise(resolve => setImmediate(resolve));
        }
      };
      const reading = reader();
      const wrote = Array.from({ length: 300 }, (_, index) => `k${index}`);
      const failing = wrote.map(() => opened.store.mutate(fail).catch(() => undefined));
      await Promise.all([...wrote.map(key => opened.store.mutate(put(key))), ...failing]);
      writing = false;
      await reading;
      expect(seen).toEqual(wrote);
    });

    test('subscribe() is called after the commit, in order, once for each change, until it is stopped', async () => {
      await using opened = await open();
      const told: Change[] = [];
      const stop = opened.store.subscribe(changes => told.push(...(changes ?? [])));
      await Promise.all([opened.store.mutate(put('a')), opened.store.mutate(put('b'))]);
      await opened.store.mutate(put('c'));
      stop();
      await opened.store.mutate(put('d'));
      expect(guids(told)).toEqual(['a', 'b', 'c']);
      expect(told.map(({ revision }) => revision)).toEqual([1, 2, 3]);
    });

    test('subscribe() listeners find committed what they are told of', async () => {
      await using opened = await open();
      const found = Promise.withResolvers<string[]>();
      opened.store.subscribe(() => found.resolve(settings(opened.store)));
      await opened.store.mutate(put('a'));
      expect(await found.promise).toEqual(['a']);
    });
  });

  test('close() waits for what was called before it, and refuses what comes after', async () => {
    await using opened = await open();
    const before = opened.store.mutate(put('a'));
    const closing = opened.store.close();
    await expect(opened.store.mutate(put('b'))).rejects.toThrow('closed');
    await expect(before).resolves.toBeUndefined();
    await closing;
  });
}
