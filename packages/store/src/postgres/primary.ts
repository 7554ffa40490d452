/**
 * Where the database is: of the hosts that the URL names, the one that takes writes. After a standby has taken over, the former server may be started again
 * and take writes too, since it knows nothing of that: of two the one with the later timeline is right, and one with an earlier timeline than was seen before
 * is not used any more.
 */
import pg from 'pg';
import { StoreUnavailableError } from '../errors.ts';
import { isLost } from './errors.ts';

/** ms. Of one host; a lost packet is sent again within it. */
const CONNECT_TIMEOUT_MS = 3_000;
/** ms. What a session may take before the server ends it, and after which a server that says nothing is taken for gone. */
interface Limits {
  statementMs: number;
  answerMs: number;
  /** Readers see one moment for as long as their transaction lasts; a writer, behind the counter's lock, all that was committed before. */
  isolation: 'read committed' | 'repeatable read';
}
/** Writes of the moment wait behind each other: what takes longer than this holds up everybody. */
export const WRITING: Limits = { statementMs: 5_000, answerMs: 7_000, isolation: 'read committed' };
export const READING: Limits = { statementMs: 10_000, answerMs: 12_000, isolation: 'repeatable read' };
/** An index over a large table takes minutes. */
export const MIGRATING: Limits = { statementMs: 0, answerMs: 0, isolation: 'read committed' };

/** Of a server that takes writes, eight hexadecimal digits; null of a standby. */
export const TIMELINE =
  'case when pg_is_in_recovery() then null else left(pg_walfile_name(pg_current_wal_lsn()), 8) end';

/**
 * A writer that was stopped or cut off holds the counter, and with it every other writer: it is ended after 3 s (cluster.md 1: 3.0 s measured, over 20 s
 * without). A session that commits without waiting for the disk is none for this store.
 */
const session = ({ statementMs, isolation }: Limits): string => `set idle_in_transaction_session_timeout = 3000;
set statement_timeout = ${statementMs};
set lock_timeout = ${statementMs};
set default_transaction_isolation = '${isolation}';
set client_min_messages = warning;
select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off';
select ${TIMELINE} as timeline;`;

const INT8 = 20;
const BOOL = 16;
const NUMERIC = 1700;
/** Whole numbers as numbers (ours are ms and bytes, far below 2^53; a sum of bigint is numeric), booleans as SQLite gives them. */
const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text') => {
    if (oid === INT8 || oid === NUMERIC) return Number;
    if (oid === BOOL) return (value: string) => (value === 't' ? 1 : 0);
    return pg.types.getTypeParser(oid, format);
  }) as pg.CustomTypesConfig['getTypeParser'],
};

/** How to reach each host of `postgres://user:password@one:5432,two:5432/cupola`. */
function configsOf(url: string): pg.ClientConfig[] {
  const [, scheme = '', hosts = '', rest = ''] = /^(postgres(?:ql)?:\/\/(?:[^@/]*@)?)([^/?]*)(.*)$/.exec(url) ?? [];
  if (scheme === '') throw new Error('A database address looks like postgres://USER:PASSWORD@HOST:5432/DATABASE.');
  return hosts.split(',').map(host => ({
    connectionString: `${scheme}${host}${rest}`,
    application_name: 'cupola',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    types,
  }));
}

/** It answers, and is not the one to use. */
class NotPrimaryError extends Error {
  override readonly name = 'NotPrimaryError';
  readonly code = 'ENOTPRIMARY';
}

export interface Primary {
  /** A connection of its own, set up. Whoever gets it ends it. Throws StoreUnavailableError when no host takes writes. */
  connect(limits: Limits): Promise<pg.Client>;
  /** Sets up a session. Throws when this server is not the one to use. */
  prepare(client: pg.ClientBase, limits: Limits): Promise<void>;
  /** Throws when the server of this session is not the one to use any more. */
  prove(client: pg.ClientBase): Promise<void>;
  /** How to reach the host that took writes last. */
  config(): pg.ClientConfig;
}

export function findPrimary(url: string): Primary {
  const configs = configsOf(url);
  let at = 0;
  /** The latest timeline that was seen. */
  let newest = '';

  function judge(timeline: string | null | undefined): void {
    if (timeline === null || timeline === undefined)
      throw new NotPrimaryError('This server is a standby: it takes no writes.');
    if (timeline < newest)
      throw new NotPrimaryError(
        `This server is in timeline ${timeline}, and another one has taken over from it in ${newest}: make it a standby of that one. Where it is right all the same, restart Cupola.`,
      );
    newest = timeline;
  }

  async function prepare(client: pg.ClientBase, limits: Limits): Promise<void> {
    const results = (await client.query(session(limits))) as unknown as pg.QueryResult<{ timeline: string | null }>[];
    judge(results.at(-1)?.rows[0]?.timeline);
  }

  async function connectTo(config: pg.ClientConfig, limits: Limits): Promise<pg.Client> {
    const client = new pg.Client({ ...config, query_timeout: limits.answerMs });
    // A backend that ends while nobody asks: whoever asks next is told. Without a listener it would end this process.
    client.on('error', () => undefined);
    try {
      await client.connect();
      await prepare(client, limits);
      return client;
    } catch (error) {
      endSoon(client);
      throw error;
    }
  }

  /** The host that was used last, or one after it. */
  async function connect(limits: Limits): Promise<pg.Client> {
    let last: unknown;
    for (let turn = 0; turn < configs.length; turn++) {
      const next = (at + turn) % configs.length;
      try {
        const client = await connectTo(configs[next] as pg.ClientConfig, limits);
        at = next;
        return client;
      } catch (error) {
        last = error;
        // A wrong password or database is a fault of the address, and said as it is; a host that is away has others beside it.
        if (!isLost(error)) throw error;
      }
    }
    throw new StoreUnavailableError({ cause: last });
  }

  /** Nothing is known yet: all are asked, so that `newest` is that of the one to use. */
  async function lookAtAll(limits: Limits): Promise<void> {
    for (const [index, config] of configs.entries()) {
      const client = await connectTo(config, limits).catch(() => null);
      if (client === null) continue;
      at = index;
      endSoon(client);
    }
  }

  return {
    connect: async limits => {
      if (newest === '' && configs.length > 1) await lookAtAll(limits);
      return await connect(limits);
    },
    prepare,
    prove: async client => {
      const { rows } = await client.query<{ timeline: string | null }>(`select ${TIMELINE} as timeline`);
      judge(rows[0]?.timeline);
    },
    config: () => configs[at] as pg.ClientConfig,
  };
}

/** Without waiting: a server that is frozen never answers. */
export function endSoon(client: pg.Client): void {
  client.end().catch(() => undefined);
}
