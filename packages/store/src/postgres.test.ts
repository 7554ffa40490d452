import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StoreUnavailableError, UniqueViolationError } from './errors.ts';
import { anApp, aSpace } from './fixtures.ts';
import { openPostgresStore } from './postgres.ts';
import { type PostgresProxy, proxyTo } from './postgres-proxy.ts';
import { hasPostgres, type PostgresServer, startPostgres } from './postgres-server.ts';
import { storeContract } from './store.contract.ts';
import type { Change, Mutation, Store } from './store.ts';

interface Opened extends AsyncDisposable {
  store: Store;
}
interface Proxied extends Opened {
  /** Between the store and the server. */
  proxy: PostgresProxy;
  /** The same database, directly. */
  direct: Store;
}

const put =
  (key: string) =>
  async ({ db, changed }: Mutation): Promise<void> => {
    await db.insertInto('settings').values({ key, value: '' }).execute();
    changed('app', key);
  };
const keysOf = async ({ read }: Store): Promise<string[]> =>
  (await read.selectFrom('settings').select('key').orderBy('key').execute()).map(({ key }) => key);
const names = (count: number, prefix: string): string[] => Array.from({ length: count }, (_, at) => `${prefix}${at}`);

describe.skipIf(!hasPostgres())('on a real server', { timeout: 180_000 }, () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres({ durable: true });
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });

  const openAt = async (database: string, options = {}): Promise<Opened> => {
    const store = await openPostgresStore({ url: server.url(database), ...options });
    return { store, [Symbol.asyncDispose]: () => store.close() };
  };
  /** On a database of its own, which goes with it: a server that was killed looks at every file that it has before it answers again. */
  const open = async (options = {}): Promise<Opened> => {
    const database = await server.database();
    const { store } = await openAt(database, options);
    return {
      store,
      [Symbol.asyncDispose]: async () => {
        await store.close();
        await server.drop(database);
      },
    };
  };
  const openProxied = async (): Promise<Proxied> => {
    const database = await server.database();
    const proxy = await proxyTo(server.folder);
    const direct = await openPostgresStore({ url: server.url(database) });
    const store = await openPostgresStore({ url: server.url(database, proxy.folder) });
    return {
      proxy,
      direct,
      store,
      [Symbol.asyncDispose]: async () => {
        await Promise.all([store.close(), direct.close()]);
        await proxy[Symbol.asyncDispose]();
        await server.drop(database);
      },
    };
  };

  describe('Store on PostgreSQL', () => storeContract(async options => open(options)));

  test('a connection that is cut in the middle of a read fails that read, and the next one is answered', async () => {
    await using opened = await openProxied();
    opened.proxy.judge = sent => (sent.includes('from "settings"') ? 'cut after' : 'carry');
    await expect(keysOf(opened.store)).rejects.toThrow(StoreUnavailableError);
    opened.proxy.judge = () => 'carry';
    expect(await keysOf(opened.store)).toEqual([]);
  });

  describe('rows are as SQLite has them', () => {
    test('a unique index names table and columns, however long', async () => {
      await using opened = await open();
      const { guid: space_guid } = await aSpace(opened.store);
      await anApp(opened.store, { name: 'Shop', space_guid });
      const error = await anApp(opened.store, { name: 'shop', space_guid }).catch(caught => caught);
      expect(error).toBeInstanceOf(UniqueViolationError);
      expect(error.constraint).toBe('apps_space_guid_name');
    });

    test('texts are ordered by their bytes, whatever the order of the database is', async () => {
      await using opened = await open();
      const keys = ['B', 'a', 'Z', 'b', '_', 'é'];
      for (const key of keys) await opened.store.mutate(put(key));
      expect(await keysOf(opened.store)).toEqual(keys.toSorted());
    });
  });

  describe('several processes', () => {
    test('two that open an empty database at once both get it', async () => {
      const database = await server.database();
      const [one, two] = await Promise.all([openAt(database), openAt(database)]);
      await one.store.mutate(put('a'));
      expect(await keysOf(two.store)).toEqual(['a']);
      expect(await two.store.cursor()).toEqual(await one.store.cursor());
      await Promise.all([one[Symbol.asyncDispose](), two[Symbol.asyncDispose]()]);
      await server.drop(database);
    });

    test('each hears all changes, in the order of their revisions, none twice', async () => {
      const database = await server.database();
      await using one = await openAt(database);
      await using two = await openAt(database);
      const told = [one, two].map(({ store }) => {
        const changes: Change[] = [];
        store.subscribe(some => changes.push(...(some ?? [])));
        return changes;
      });
      await Promise.all([
        ...names(150, 'one').map(key => one.store.mutate(put(key))),
        ...names(150, 'two').map(key => two.store.mutate(put(key))),
      ]);
      await expect.poll(() => told.map(changes => changes.length), { timeout: 20_000 }).toEqual([300, 300]);
      const revisions = Array.from({ length: 300 }, (_, at) => at + 1);
      for (const changes of told) expect(changes.map(({ revision }) => revision)).toEqual(revisions);
    });
  });

  describe('connections that are lost', () => {
    test('a COMMIT whose answer was lost is known to be done, and is not done twice', async () => {
      await using opened = await openProxied();
      let cuts = 1;
      opened.proxy.judge = sent => (sent.includes('commit') && cuts-- > 0 ? 'cut after' : 'carry');
      await opened.store.mutate(put('a'));
      expect(cuts).toBeLessThanOrEqual(0);
      expect(await keysOf(opened.direct)).toEqual(['a']);
      expect(await opened.direct.cursor()).toMatchObject({ revision: 1 });
    });

    test.each(['begin', 'insert into "settings"', 'commit'])(
      'a connection that is lost before "%s" is made anew, and the mutation runs again',
      async words => {
        await using opened = await openProxied();
        let cuts = 1;
        opened.proxy.judge = sent => (sent.includes(words) && cuts-- > 0 ? 'cut before' : 'carry');
        await Promise.all(['a', 'b', 'c'].map(key => opened.store.mutate(put(key))));
        expect(cuts).toBeLessThanOrEqual(0);
        expect(await keysOf(opened.direct)).toEqual(['a', 'b', 'c']);
        expect(await opened.direct.cursor()).toMatchObject({ revision: 3 });
      },
    );

    test('a writer that freezes with the counter in its hands stops others for some seconds only', async () => {
      await using opened = await openProxied();
      const frozen = Promise.withResolvers<void>();
      let freezes = 1;
      opened.proxy.judge = sent => {
        if (!sent.includes('insert into "settings"') || freezes-- <= 0) return 'carry';
        frozen.resolve();
        return 'freeze';
      };
      const stuck = opened.store.mutate(put('a'));
      await frozen.promise;
      await opened.direct.mutate(put('b'));
      expect(await keysOf(opened.direct)).toEqual(['b']);
      // Its connection is given up after a while, and it runs again on another.
      await stuck;
      expect(await keysOf(opened.direct)).toEqual(['a', 'b']);
    });

    test('a server that is away answers nobody, and everybody once it is back; the feed goes on', async () => {
      await using opened = await open();
      const told: string[] = [];
      opened.store.subscribe(changes => told.push(...(changes ?? []).map(({ guid }) => guid)));
      await opened.store.mutate(put('a'));
      await server.stop('SIGKILL');
      await expect(opened.store.mutate(put('b'))).rejects.toBeInstanceOf(StoreUnavailableError);
      await expect(opened.store.cursor()).rejects.toBeInstanceOf(StoreUnavailableError);
      await server.start();
      await opened.store.mutate(put('c'));
      expect(await keysOf(opened.store)).toEqual(['a', 'c']);
      await expect.poll(() => told).toEqual(['a', 'c']);
    });

    test('kill -9 of the server loses nothing that was answered', async () => {
      await using opened = await open();
      const answered: string[] = [];
      const writing = names(400, 'k').map(key => opened.store.mutate(put(key)).then(() => answered.push(key)));
      await Promise.any(writing);
      await server.stop('SIGKILL');
      await Promise.allSettled(writing);
      await server.start();
      const keys = await keysOf(opened.store);
      expect(answered.filter(key => !keys.includes(key))).toEqual([]);
      const changes = await opened.store.changesAfter({ ...(await opened.store.cursor()), revision: 0 }, 1_000);
      expect(changes?.map(({ guid }) => guid).toSorted()).toEqual(keys);
    });
  });
});
