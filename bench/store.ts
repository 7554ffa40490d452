/**
 * Durable writes a second of the store, with its feed, on both engines; beside transactions of plain SQL that write the same row and know nothing of
 * the others: on PostgreSQL a connection each, on SQLite one after another, as that engine has it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openPostgresStore } from '../packages/store/src/postgres.ts';
import { hasPostgres, startPostgres } from '../packages/store/src/postgres-server.ts';
import { openSqliteStore } from '../packages/store/src/sqlite.ts';
import type { Store } from '../packages/store/src/store.ts';
import { percentile } from './load.ts';
import { median, ms, notInstalled, type Row } from './table.ts';

const CALLERS = [1, 16, 128];
const ROUND_MS = 1_000;
const VALUE = 'x'.repeat(200);

interface Measured {
  perSecond: number;
  p99Ms: number;
}
type Write = (key: string, caller: number) => Promise<unknown>;

/** Each caller writes again as soon as it was answered. */
async function measure(write: Write, callers: number): Promise<Measured> {
  const tookMs: number[] = [];
  const prefix = crypto.randomUUID();
  const began = performance.now();
  const one = async (caller: number): Promise<void> => {
    for (let number = 0; performance.now() < began + ROUND_MS; number++) {
      const start = performance.now();
      await write(`${prefix}-${caller}-${number}`, caller);
      tookMs.push(performance.now() - start);
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, caller) => one(caller)));
  const perSecond = (tookMs.length / (performance.now() - began)) * 1_000;
  return {
    perSecond,
    p99Ms: percentile(
      tookMs.toSorted((a, b) => a - b),
      0.99,
    ),
  };
}

const ours =
  (store: Store): Write =>
  key =>
    store.mutate(async ({ db, changed }) => {
      await db.insertInto('settings').values({ key, value: VALUE }).execute();
      changed('app', key);
    });

async function rowsOf(engine: string, [store, plain]: [Write, Write], rounds: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (const callers of CALLERS) {
    const [mine, theirs]: [Measured[], Measured[]] = [[], []];
    await measure(store, callers); // The first ones meet cold code.
    for (let round = 0; round < Math.max(rounds, 3); round++) {
      mine.push(await measure(store, callers));
      theirs.push(await measure(plain, callers));
    }
    const shown = (all: readonly Measured[]): string =>
      `${Math.round(median(all.map(one => one.perSecond)))}/s, p99 ${ms(median(all.map(one => one.p99Ms)))}`;
    const ratio = median(mine.map(one => one.perSecond)) / median(theirs.map(one => one.perSecond));
    rows.push({
      row: 'store',
      what: `store writes a second on ${engine}, ${callers} at once, durable, with a change each`,
      ours: shown(mine),
      beside: `${shown(theirs)} plain transactions without one`,
      ratio,
      aim: callers === 1 ? '>= 0.3' : '>= 1',
      met: ratio >= (callers === 1 ? 0.3 : 1),
    });
  }
  return rows;
}

async function onSqlite(rounds: number): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-bench-store-'));
  const store = await openSqliteStore({ path: join(folder, 'store.db') });
  const db = new DatabaseSync(join(folder, 'plain.db'));
  db.exec(
    'pragma journal_mode = wal; pragma synchronous = full; create table settings (key text primary key, value text)',
  );
  const insert = db.prepare('insert into settings values (?, ?)');
  const plain: Write = async key => {
    db.exec('begin immediate');
    insert.run(key, VALUE);
    db.exec('commit');
    await new Promise(resolve => setImmediate(resolve));
  };
  try {
    return await rowsOf('SQLite', [ours(store), plain], rounds);
  } finally {
    db.close();
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function onPostgres(rounds: number): Promise<Row[]> {
  if (!hasPostgres())
    return [
      notInstalled({ row: 'store', what: 'store writes on PostgreSQL', ours: '', aim: '' }, 'PostgreSQL', 'postgresql'),
    ];
  await using server = await startPostgres({ durable: true });
  const database = await server.database();
  const store = await openPostgresStore({ url: server.url(database) });
  const clients = await Promise.all(Array.from({ length: Math.max(...CALLERS) }, () => server.client(database)));
  const plain: Write = (key, caller) =>
    clients[caller]?.query('insert into settings values ($1, $2)', [key, VALUE]) ?? Promise.resolve();
  try {
    return await rowsOf('PostgreSQL', [ours(store), plain], rounds);
  } finally {
    await Promise.all(clients.map(client => client.end()));
    await store.close();
  }
}

export async function benchStore(rounds: number): Promise<Row[]> {
  return [...(await onSqlite(rounds)), ...(await onPostgres(rounds))];
}
