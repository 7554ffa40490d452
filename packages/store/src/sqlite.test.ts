import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { sql } from 'kysely';
import { describe, expect, test } from 'vitest';
import { DamagedStoreError, NewerSchemaError, StoreFullError } from './errors.ts';
import { anApp, aRoute, aSpace, aUser } from './fixtures.ts';
import { backupTo, openSqliteStore, type SqliteOptions } from './sqlite.ts';
import { storeContract } from './store.contract.ts';
import type { Mutation, Store } from './store.ts';
import { openTestStore, type TestStore } from './test-store.ts';

const CHILD = fileURLToPath(new URL('./writer-child.ts', import.meta.url));

/** As a user's: made by every migration, each commit on disk. */
async function openNewStore(options: Omit<SqliteOptions, 'path'> = {}): Promise<TestStore> {
  const place = temporary();
  const store = await openSqliteStore({ path: place.path, ...options });
  return {
    store,
    [Symbol.asyncDispose]: async () => {
      await store.close();
      place[Symbol.dispose]();
    },
  };
}

describe('Store on SQLite', () => storeContract(openNewStore));

const put =
  (key: string, value = '') =>
  async ({ db, changed }: Mutation): Promise<void> => {
    await db.insertInto('settings').values({ key, value }).execute();
    changed('app', key);
  };

async function keysOf(store: Store): Promise<string[]> {
  return (await store.read.selectFrom('settings').select('key').execute()).map(({ key }) => key);
}

function temporary(): Disposable & { folder: string; path: string } {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-store-'));
  return {
    folder,
    path: join(folder, 'store.db'),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

describe('names', () => {
  test('an app is unique in its space whatever its case, and free in another', async () => {
    await using opened = await openTestStore();
    const { guid: space_guid } = await aSpace(opened.store);
    await anApp(opened.store, { name: 'Shop', space_guid });
    await anApp(opened.store, { name: 'shop' });
    await expect(anApp(opened.store, { name: 'shop', space_guid })).rejects.toMatchObject({
      name: 'UniqueViolationError',
      constraint: 'apps_space_guid_name',
    });
  });

  test('a user is unique in its origin', async () => {
    await using opened = await openTestStore();
    await aUser(opened.store, { username: 'ann' });
    await aUser(opened.store, { username: 'ann', origin: 'ldap' });
    await expect(aUser(opened.store, { username: 'Ann' })).rejects.toMatchObject({
      constraint: 'users_username_origin',
    });
  });

  test('a route is unique by domain, host and path, whatever their case', async () => {
    await using opened = await openTestStore();
    const { domain_guid } = await aRoute(opened.store, { host: 'shop', path: '/a' });
    await aRoute(opened.store, { host: 'shop', path: '/b', domain_guid });
    await expect(aRoute(opened.store, { host: 'Shop', path: '/A', domain_guid })).rejects.toMatchObject({
      constraint: 'routes_domain_guid_host_path',
    });
  });
});

describe('a group that dies whole', () => {
  test('an error at COMMIT fails the mutation that caused it, and no other', async () => {
    await using opened = await openTestStore();
    await opened.store.note(async ({ db }) => {
      await sql`create table parent (id text primary key) strict`.execute(db);
      await sql`create table child (parent text references parent (id) deferrable initially deferred) strict`.execute(
        db,
      );
    });
    const results = await Promise.allSettled([
      opened.store.mutate(put('a')),
      opened.store.mutate(({ db }) => sql`insert into child values ('none')`.execute(db)),
      opened.store.mutate(put('b')),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await keysOf(opened.store)).toEqual(['a', 'b']);
    expect(await opened.store.cursor()).toMatchObject({ revision: 2 });
  });

  test('a mutation that ends the transaction fails alone', async () => {
    await using opened = await openTestStore();
    const results = await Promise.allSettled([
      opened.store.mutate(put('a')),
      opened.store.mutate(async mutation => {
        await put('b')(mutation);
        await sql`rollback`.execute(mutation.db);
        throw new Error('no');
      }),
      opened.store.mutate(put('c')),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await keysOf(opened.store)).toEqual(['a', 'c']);
  });

  test('a file that another process holds fails the group once, not each of it after its own wait', async () => {
    using place = temporary();
    const store = await openSqliteStore(place);
    await store.note(({ db }) => sql`pragma busy_timeout = 1000`.execute(db));
    using other = new DatabaseSync(place.path);
    other.exec('begin immediate');
    const began = performance.now();
    // Each after its own wait would be twenty seconds.
    const group = Array.from({ length: 20 }, (_, at) => store.mutate(put(`held ${at}`)));
    const results = await Promise.allSettled(group);
    other.exec('rollback');
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(20);
    expect(performance.now() - began).toBeLessThan(15_000);
    await store.mutate(put('c'));
    expect(await keysOf(store)).toEqual(['c']);
    await store.close();
  });

  test('a listener that throws leaves nobody without an answer', async () => {
    await using opened = await openTestStore();
    const told: number[] = [];
    opened.store.subscribe(() => {
      throw new Error('a bug');
    });
    opened.store.subscribe(changes => told.push(changes?.length ?? 0));
    const uncaught = nextUncaught();
    await opened.store.mutate(put('a'));
    expect(await uncaught).toThrow('a bug');
    expect(told).toEqual([1]);
  });
});

/** The next uncaught error, as something that throws it. vitest's own listeners step aside meanwhile. */
function nextUncaught(): Promise<() => never> {
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  return new Promise(resolve => {
    process.once('uncaughtException', error => {
      for (const listener of others) process.on('uncaughtException', listener);
      resolve(() => {
        throw error;
      });
    });
  });
}

describe('openSqliteStore()', () => {
  test('opens what it closed: rows, epoch and revision are those of before', async () => {
    using place = temporary();
    const first = await openSqliteStore(place);
    await first.mutate(put('a'));
    const before = await first.cursor();
    await first.close();
    const second = await openSqliteStore(place);
    expect(await second.cursor()).toEqual(before);
    expect(await keysOf(second)).toEqual(['a']);
    await second.close();
  });

  test('close() leaves one file, by which the next start knows a clean stop', async () => {
    using place = temporary();
    const store = await openSqliteStore(place);
    await store.mutate(put('a'));
    await store.close();
    expect(existsSync(`${place.path}-wal`)).toBe(false);
  });

  test('refuses a schema newer than it knows, says so, and changes nothing', async () => {
    using place = temporary();
    await (await openSqliteStore(place)).close();
    const db = new DatabaseSync(place.path);
    db.exec("insert into kysely_migration (name, timestamp) values ('9999-later', '2027-01-01T00:00:00Z')");
    db.close();
    const before = readFileSync(place.path);
    const error = await openSqliteStore(place).catch(caught => caught);
    expect(error).toBeInstanceOf(NewerSchemaError);
    expect(error.message).toContain('9999-later');
    expect(readFileSync(place.path).equals(before)).toBe(true);
  });

  test('refuses what is no store', async () => {
    using place = temporary();
    writeFileSync(place.path, 'something else, and long enough to be looked at'.repeat(100));
    await expect(openSqliteStore(place)).rejects.toBeInstanceOf(DamagedStoreError);
  });

  test('finds damage after an unclean stop', async () => {
    using place = temporary();
    const store = await openSqliteStore(place);
    for (let index = 0; index < 100; index++) await store.mutate(put(`k${index}`, 'x'.repeat(500)));
    await store.close();
    const bytes = readFileSync(place.path);
    const at = bytes.lastIndexOf('x'.repeat(100)) & ~4095;
    writeFileSync(place.path, bytes.fill(0xa5, at, at + 4096));
    writeFileSync(`${place.path}-wal`, 'what a killed process leaves');
    await expect(openSqliteStore(place)).rejects.toBeInstanceOf(DamagedStoreError);
  });
});

describe('backupTo()', () => {
  test('copies a moment of a store in use, and the copy opens', async () => {
    using place = temporary();
    using copied = temporary();
    const store = await openSqliteStore(place);
    for (let index = 0; index < 50; index++) await store.mutate(put(`before-${index}`));
    const writing = Promise.all(Array.from({ length: 200 }, (_, index) => store.mutate(put(`during-${index}`))));
    await backupTo(place.path, copied.path);
    await writing;
    await store.close();
    const copy = await openSqliteStore(copied);
    const keys = await keysOf(copy);
    expect(keys.filter(key => key.startsWith('before'))).toHaveLength(50);
    expect((await copy.cursor()).revision).toBe(keys.length);
    await copy.close();
  });
});

describe('durability', () => {
  test('kill -9 at any moment loses nothing that was answered, and tears nothing', async () => {
    using place = temporary();
    const answered = new Set<string>();
    for (const untilLine of killPoints(process.env.CI === 'true' ? 15 : 5)) {
      const child = spawn(process.execPath, [CHILD, place.path, '100000', '7']);
      const seen = await linesUntil(child, untilLine);
      await killed(child);
      for (const key of seen()) answered.add(key);
    }
    const store = await openSqliteStore(place);
    const keys = await keysOf(store);
    const changes = await store.changesAfter({ ...(await store.cursor()), revision: 0 }, 100_000);
    await store.close();
    expect([...answered].filter(key => !keys.includes(key))).toEqual([]);
    expect(changes?.map(({ guid }) => guid).sort()).toEqual(keys.sort());
  });

  const strace = spawnSync('strace', ['-V']).status === 0;
  test.skipIf(!strace)('the write-ahead log is synced between the call of a mutation and its answer (strace)', () => {
    using place = temporary();
    const trace = join(place.folder, 'trace');
    const traced = ['-f', '-y', '-e', 'trace=fsync,fdatasync,write', '-o', trace, process.execPath, CHILD, place.path];
    spawnSync('strace', [...traced, '5', '3'], { stdio: ['ignore', 'ignore', 'inherit'] });
    const calls = wholeCalls(readFileSync(trace, 'utf8'));
    const at = (text: string): number[] => calls.flatMap((line, index) => (line.includes(text) ? [index] : []));
    const synced = calls.flatMap((line, index) => (/\bf(data)?sync\(\d+<[^>]*-wal>\)\s+= 0/.test(line) ? [index] : []));
    const called = at('"call ');
    const unsynced = at('"answer ').filter(answer => {
      const key = /"answer (\S+)\\n"/.exec(calls[answer] ?? '')?.[1];
      const call = called.find(index => calls[index]?.includes(`"call ${key}\\n"`)) ?? answer;
      return !synced.some(index => index > call && index < answer);
    });
    expect(at('"answer ')).toHaveLength(15);
    expect(unsynced).toEqual([]);
  });

  test.skipIf(!strace).each([1, 6, 100, 300, 450])(
    'a first start that is killed at write %i can be begun again (strace)',
    async at => {
      using place = temporary();
      const inject = ['-f', '-o', '/dev/null', '-e', 'trace=pwrite64', '-e', `inject=pwrite64:signal=KILL:when=${at}`];
      const first = spawnSync('strace', [...inject, process.execPath, CHILD, place.path, '1', '1']);
      expect(first.signal).toBe('SIGKILL');
      const store = await openSqliteStore(place);
      await store.mutate(put('a'));
      expect(await store.cursor()).toMatchObject({ epoch: expect.stringMatching(/./), revision: expect.any(Number) });
      await store.close();
    },
  );

  const mayMount = process.platform === 'linux' && process.getuid?.() === 0;
  test.skipIf(!mayMount)('a full disk fails the mutation that does not fit, and no other; reads go on', async () => {
    using place = temporary();
    using _disk = smallDisk(place.folder);
    const store = await openSqliteStore(place);
    const results = await Promise.allSettled([
      store.mutate(put('a')),
      store.mutate(put('large', 'x'.repeat(8 * 1024 * 1024))),
      store.mutate(put('b')),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(results[1]).toMatchObject({ reason: expect.any(StoreFullError) });
    expect(await keysOf(store)).toEqual(['a', 'b']);
    expect(await store.cursor()).toMatchObject({ revision: 2 });
    await store.close();
  });
});

/** Lines of strace: what it has cut in two, since another thread called something meanwhile, whole where it ended, its beginning where it began. */
function wholeCalls(trace: string): string[] {
  const begun = new Map<string, string>();
  return trace.split('\n').map(line => {
    const [, thread = '', call = ''] = /^(\d+) +(.*)$/.exec(line) ?? [];
    if (call.endsWith(' <unfinished ...>')) begun.set(thread, call.replace(/ <unfinished \.\.\.>$/, ''));
    const rest = /^<\.\.\. \w+ resumed>(.*)$/.exec(call)?.[1];
    // Of a write only where it began counts.
    if (rest === undefined || begun.get(thread)?.startsWith('write')) return line;
    return `${thread} ${begun.get(thread)}${rest}`;
  });
}

/** After so many lines of the child's: early (while it opens the store), in its first rounds, later. */
function killPoints(count: number): number[] {
  return Array.from({ length: count }, (_, index) => (index === 0 ? 0 : Math.floor(Math.random() * 60 * index)));
}

/** Resolves once the child has written so many lines, to what gives the keys it has answered by then or since. */
async function linesUntil(child: ChildProcess, count: number): Promise<() => string[]> {
  const answered: string[] = [];
  let seen = 0;
  const reached = Promise.withResolvers<void>();
  if (count === 0) reached.resolve();
  child.stderr?.resume();
  if (child.stdout === null) throw new Error('the child has no output');
  createInterface({ input: child.stdout }).on('line', line => {
    const [word, key = ''] = line.split(' ');
    if (word === 'answer') answered.push(key);
    if (++seen === count) reached.resolve();
  });
  child.once('exit', () => reached.resolve());
  await reached.promise;
  return () => answered;
}

async function killed(child: ChildProcess): Promise<void> {
  const closed = once(child, 'close');
  child.kill('SIGKILL');
  await closed;
}

/** A file system of 4 MiB over a folder. */
function smallDisk(folder: string): Disposable {
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'cupola-test', folder], { encoding: 'utf8' });
  if (mounted.status !== 0) throw new Error(`cannot mount a small disk: ${mounted.stderr}`);
  return { [Symbol.dispose]: () => void spawnSync('umount', ['-l', folder]) };
}
