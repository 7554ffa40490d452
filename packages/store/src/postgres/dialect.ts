/** Kysely's own dialect for PostgreSQL; around `pg` the little that our rows and errors want. */
import { Kysely, PostgresDialect, type PostgresPool, type PostgresPoolClient } from 'kysely';
import pg from 'pg';
import type { Database } from '../schema.ts';
import { asStoreError, isLost } from './errors.ts';
import { type Primary, READING } from './primary.ts';

/** Reads of one process at a time; PostgreSQL's own default is 100 connections for all. */
const READERS_MAX = 8;
/** ms. */
const IDLE_MS = 60_000;

/** Over what gives connections. `destroy()` ends it. */
export function kyselyOver(connections: Pick<PostgresPool, 'connect' | 'end'>): Kysely<Database> {
  return new Kysely<Database>({ dialect: new PostgresDialect({ pool: { options: {}, ...connections } }) });
}

/** `client` as Kysely wants one, with our types both ways. `release` hears whether the connection can be used again. */
export function poolClient(client: pg.ClientBase, release: (broken: boolean) => void): PostgresPoolClient {
  let broken = false;
  const query = async (text: string, parameters: readonly unknown[]): Promise<unknown> => {
    try {
      return await client.query(text, parameters.map(bound));
    } catch (error) {
      if (isLost(error)) broken = true;
      throw asStoreError(error);
    }
  };
  return { query: query as PostgresPoolClient['query'], release: () => release(broken) };
}

/** Columns that hold booleans are 0 or 1 on both engines. */
function bound(value: unknown): unknown {
  return typeof value === 'boolean' ? Number(value) : value;
}

/** Reads: a pool of connections to whichever host takes writes at the moment, so that a reader sees what was just committed. */
export function readersOf(primary: Primary): Kysely<Database> {
  let config = primary.config();
  let pool = poolTo(primary);
  const current = (): pg.Pool => {
    if (config !== primary.config()) {
      endPool(pool);
      config = primary.config();
      pool = poolTo(primary);
    }
    return pool;
  };
  const connect = async (): Promise<pg.PoolClient> => {
    try {
      return await current().connect();
    } catch (error) {
      if (!isLost(error)) throw error;
      // Another host may have taken over.
      (await primary.connect(READING)).end().catch(() => undefined);
      return await current().connect();
    }
  };
  return kyselyOver({
    connect: async () => {
      const client = await connect().catch((error: unknown) => Promise.reject(asStoreError(error)));
      return poolClient(client, broken => client.release(broken));
    },
    end: () => pool.end(),
  });
}

function poolTo(primary: Primary): pg.Pool {
  const pool = new pg.Pool({
    ...primary.config(),
    query_timeout: READING.answerMs,
    max: READERS_MAX,
    idleTimeoutMillis: IDLE_MS,
    onConnect: client => primary.prepare(client, READING) as unknown as undefined,
  });
  // One that breaks while it is lent out tells the query, and then everybody: who is not heard ends the process.
  pool.on('connect', client => client.on('error', () => undefined));
  pool.on('error', () => undefined); // An idle connection that ended: it is out of the pool already.
  return pool;
}

function endPool(pool: pg.Pool): void {
  pool.end().catch(() => undefined);
}
