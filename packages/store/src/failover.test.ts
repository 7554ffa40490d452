/** Servers that follow another, and take over from it: nothing that was answered is lost, nothing is done twice, and whoever watches sees what there is. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StoreUnavailableError } from './errors.ts';
import { openPostgresStore } from './postgres.ts';
import { proxyTo } from './postgres-proxy.ts';
import { hasPostgres, type PostgresServer, type StandbyServer, startPostgres } from './postgres-server.ts';
import type { Mutation, Store } from './store.ts';

const WRITERS = 16;

const put =
  (key: string) =>
  async ({ db, changed }: Mutation): Promise<void> => {
    await db.insertInto('settings').values({ key, value: '' }).execute();
    changed('app', key);
  };
const keysOf = async ({ read }: Store): Promise<string[]> =>
  (await read.selectFrom('settings').select('key').orderBy('key').execute()).map(({ key }) => key);

/** What somebody knows who lists, and follows the feed from then on; lists again when told to. */
function watch(store: Store): { keys: Set<string>; listings: number } {
  const known = { keys: new Set<string>(), listings: 0 };
  /** Told since the last listing was asked for: it may have been read before that. */
  let since = new Set<string>();
  store.subscribe(changes => {
    for (const { guid } of changes ?? []) for (const keys of [known.keys, since]) keys.add(guid);
    if (changes !== null) return;
    const later = new Set<string>();
    since = later;
    const list = (triesLeft: number): void =>
      void keysOf(store).then(
        keys => {
          known.listings++;
          known.keys = new Set([...keys, ...later, ...since]);
        },
        // The server may not be back yet.
        () => triesLeft > 0 && later === since && setTimeout(list, 50, triesLeft - 1),
      );
    list(200);
  });
  return known;
}

/** Many write at once, key after key, for as long as `work` takes; each key that was answered, and every error that says anything but "later". */
async function writtenMeanwhile(
  store: Store,
  work: (answered: readonly string[]) => Promise<unknown>,
): Promise<{ answered: string[]; wrong: unknown[] }> {
  const [answered, wrong]: [string[], unknown[]] = [[], []];
  let isOver = false;
  const writing = Array.from({ length: WRITERS }, async (_, writer) => {
    for (let number = 0; !isOver; number++) {
      const key = `${String(writer).padStart(2, '0')}-${number}`;
      await store.mutate(put(key)).then(
        () => answered.push(key),
        (error: unknown) => error instanceof StoreUnavailableError || wrong.push(error),
      );
    }
  });
  await work(answered).finally(() => {
    isOver = true;
  });
  await Promise.all(writing);
  return { answered, wrong };
}

const untilItWrites = (store: Store, key: string): Promise<void> =>
  expect.poll(() => store.mutate(put(key)).then(() => 'written', String), { timeout: 30_000 }).toBe('written');

describe.skipIf(!hasPostgres())('a server that another one follows', { timeout: 240_000 }, () => {
  let primary: PostgresServer;
  let standby: StandbyServer;
  let disposing: AsyncDisposableStack;
  let database: string;

  beforeEach(async () => {
    disposing = new AsyncDisposableStack();
    primary = disposing.use(await startPostgres());
    database = await primary.database();
  });
  afterEach(() => disposing.disposeAsync());

  const follow = async (kind: 'synchronous' | 'asynchronous'): Promise<void> => {
    standby = disposing.use(await primary.standby(kind));
  };
  const open = async (...folders: string[]): Promise<Store> => {
    const hosts = folders.length === 0 ? [primary.folder, standby.folder] : folders;
    const store = await openPostgresStore({ url: primary.url(database, ...hosts) });
    disposing.defer(() => store.close());
    return store;
  };

  test('synchronously: killed in the midst of writes, it loses nothing that was answered, and the other one goes on', async () => {
    await follow('synchronous');
    const [store, other] = [await open(), await open()];
    const known = [watch(store), watch(other)];
    const before = await store.cursor();
    const { answered, wrong } = await writtenMeanwhile(store, async soFar => {
      await untilItWrites(other, 'before');
      await expect.poll(() => soFar.length, { timeout: 30_000 }).toBeGreaterThan(WRITERS);
      await primary.stop('SIGKILL');
      standby.promote();
      await untilItWrites(other, 'after');
    });
    expect(wrong).toEqual([]);
    const keys = await keysOf(store);
    expect([...answered, 'before', 'after'].filter(key => !keys.includes(key))).toEqual([]);
    for (const one of known) await expect.poll(() => [...one.keys].toSorted()).toEqual(keys);
    const cursor = await store.cursor();
    expect(cursor.epoch).not.toBe(before.epoch);
    expect(await other.cursor()).toEqual(cursor);
    expect(await store.changesAfter(before, 1)).toBeNull();
    // Each key has its one change.
    expect(cursor.revision).toBe(keys.length);
  });

  test('asynchronously: what the other one lacks is gone for everybody, and whoever watches lists again and goes on', async () => {
    await follow('asynchronous');
    const [store, other] = [await open(), await open()];
    const known = [watch(store), watch(other)];
    await store.mutate(put('kept'));
    const [position] = await primary.query('select pg_current_wal_lsn() as at');
    await expect
      .poll(async () => (await standby.query(`select pg_last_wal_replay_lsn() >= '${position?.at}' as has`))[0]?.has)
      .toBe(true);
    await standby.stop('SIGINT');
    for (const key of ['lost 1', 'lost 2', 'lost 3']) await store.mutate(put(key));
    const before = await store.cursor();
    await primary.stop('SIGKILL');
    await standby.start();
    standby.promote();
    await untilItWrites(other, 'new');
    expect(await keysOf(store)).toEqual(['kept', 'new']);
    expect(await store.cursor()).toMatchObject({ revision: 2 });
    expect(await store.changesAfter(before, 1)).toBeNull();
    // By as many writes as were lost, the numbers of before come again.
    for (const key of ['new 1', 'new 2', 'new 3']) await other.mutate(put(key));
    for (const one of known)
      await expect.poll(() => [...one.keys].toSorted()).toEqual(['kept', 'new', 'new 1', 'new 2', 'new 3']);
  });

  test('a COMMIT that never reached it is not taken for done by the number that the other one gives to its first transaction', async () => {
    await follow('synchronous');
    const [before, after] = [
      disposing.use(await proxyTo(primary.folder)),
      disposing.use(await proxyTo(standby.folder)),
    ];
    const store = await open(before.folder, after.folder);
    await store.mutate(put('a'));
    after.judge = () => 'cut before';
    const takeOver = async (): Promise<void> => {
      await primary.stop('SIGKILL');
      standby.promote();
      // Somebody else is there first.
      for (let times = 0; times < 5; times++) await standby.query('select pg_current_xact_id()');
      after.judge = () => 'carry';
    };
    let dies: Promise<void> | undefined;
    before.judge = sent => {
      if (!sent.includes('; commit') || dies !== undefined) return 'carry';
      dies = takeOver();
      return 'cut before';
    };
    await store.mutate(put('b'));
    await dies;
    expect(await keysOf(store)).toEqual(['a', 'b']);
    expect(await store.cursor()).toMatchObject({ revision: 2 });
  });

  test('a synchronous one that is away: writes are refused in time, reads are answered; back again, all goes on', async () => {
    await follow('synchronous');
    const store = await open();
    await store.mutate(put('before'));
    await standby.stop('SIGKILL');
    const began = performance.now();
    const waited: number[] = [];
    const refused = await Promise.all(
      Array.from({ length: 100 }, (_, at) =>
        store.mutate(put(`hangs ${at}`)).catch((error: unknown) => {
          waited.push(performance.now() - began);
          return error;
        }),
      ),
    );
    for (const error of refused) expect(error).toBeInstanceOf(StoreUnavailableError);
    expect(await keysOf(store)).toEqual(['before']);
    console.log(
      waited
        .map(Math.round)
        .toSorted((a, b) => a - b)
        .join(' '),
    );
    await standby.start();
    await untilItWrites(store, 'after');
    expect(await keysOf(store)).toContain('after');
  });

  test('the former one that is started again is not written to, nor read, by whoever has seen its follower take over', async () => {
    await follow('asynchronous');
    const store = await open();
    await store.mutate(put('a'));
    await primary.stop('SIGKILL');
    standby.promote();
    await untilItWrites(store, 'b');
    await primary.start();
    const late = await open();
    expect(await keysOf(late)).toEqual(['a', 'b']);
    await standby.stop('SIGKILL');
    await expect(store.mutate(put('c'))).rejects.toThrow(StoreUnavailableError);
    await expect(keysOf(store)).rejects.toThrow(StoreUnavailableError);
    await standby.start();
    await untilItWrites(store, 'd');
    expect(await keysOf(store)).toEqual(['a', 'b', 'd']);
  });
});
