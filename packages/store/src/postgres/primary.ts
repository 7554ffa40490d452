/** Where the database is: of the hosts that the URL names, the one that takes writes. */
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
select pg_is_in_recovery() as standby;`;

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

/** Sets up a session, and throws when this server only reads. */
export async function prepareSession(client: pg.ClientBase, limits: Limits): Promise<void> {
  const results = (await client.query(session(limits))) as unknown as pg.QueryResult<{ standby: number }>[];
  if (results.at(-1)?.rows[0]?.standby === 1) throw new StandbyError();
}

class StandbyError extends Error {
  override readonly name = 'StandbyError';
  readonly code = 'ESTANDBY';
  constructor() {
    super('This server is a standby: it takes no writes.');
  }
}

export interface Primary {
  /** A connection of its own, set up. Whoever gets it ends it. Throws StoreUnavailableError when no host takes writes. */
  connect(limits: Limits): Promise<pg.Client>;
  /** How to reach the host that took writes last. */
  config(): pg.ClientConfig;
}

export function findPrimary(url: string): Primary {
  const configs = configsOf(url);
  let at = 0;

  async function connectTo(config: pg.ClientConfig, limits: Limits): Promise<pg.Client> {
    const client = new pg.Client({ ...config, query_timeout: limits.answerMs });
    // A backend that ends while nobody asks: whoever asks next is told. Without a listener it would end this process.
    client.on('error', () => undefined);
    try {
      await client.connect();
      await prepareSession(client, limits);
      return client;
    } catch (error) {
      endSoon(client);
      throw error;
    }
  }

  return {
    connect: async limits => {
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
    },
    config: () => configs[at] as pg.ClientConfig,
  };
}

/** Without waiting: a server that is frozen never answers. */
export function endSoon(client: pg.Client): void {
  client.end().catch(() => undefined);
}
