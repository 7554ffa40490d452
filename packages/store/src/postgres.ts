/** The store on PostgreSQL 13 or newer, for any number of processes: one connection that writes (group commit), a pool that reads, one that listens. */
import { randomUUID } from 'node:crypto';
import type { Kysely } from 'kysely';
import type pg from 'pg';
import { CHANGES_KEPT, changesAfter, compaction, createSubscribers, readCursor } from './feed.ts';
import { type GroupCommit, groupCommit } from './group-commit.ts';
import { migrate } from './migrate.ts';
import { kyselyOver, poolClient, readersOf } from './postgres/dialect.ts';
import { holdConnection } from './postgres/held-connection.ts';
import { FORGET_WRITERS } from './postgres/outcome.ts';
import { postgresWriter } from './postgres/postgres-writer.ts';
import { findPrimary, MIGRATING, type Primary, READING, TIMELINE } from './postgres/primary.ts';
import { CHANNEL, startTail } from './postgres/tail.ts';
import type { Store } from './store.ts';
import { storeOver } from './store-over.ts';

export interface PostgresOptions {
  /** `postgres://USER:PASSWORD@HOST:5432/DATABASE`; of several hosts, `HOST:5432,HOST:5432`, the one that takes writes is used. */
  url: string;
  /** Epoch ms. */
  now?: () => number;
  changesKept?: number;
}

/** Connects and migrates; others may be at work with the former schema meanwhile. Throws NewerSchemaError or StoreUnavailableError, and then has changed nothing. */
export async function openPostgresStore(options: PostgresOptions): Promise<Store> {
  const { url, now = Date.now, changesKept = CHANGES_KEPT } = options;
  const primary = findPrimary(url);
  await migrateTo(primary);
  const read = readersOf(primary);
  const { subscribe, tell } = createSubscribers();
  const compact = compaction(changesKept, () => commits);
  let ownPid: number | undefined;
  const connection = holdConnection(primary, async client => {
    ownPid = await followTimeline(client);
  });
  const tail = await startTail({
    primary,
    isOwn: pid => pid === ownPid,
    cursor: () => readCursor(read),
    changesAfter: (after, limit) => changesAfter(read, after, limit),
    tell,
  });
  const commits: GroupCommit = groupCommit({
    writer: postgresWriter(connection),
    now,
    committed: changes => {
      // After the commit and outside of it: it may be lost, watchers look each second.
      connection
        .current()
        ?.query(`notify ${CHANNEL}`)
        .catch(() => undefined);
      tail.committed(changes);
      compact(changes.at(-1)?.revision ?? 0);
    },
  });
  return storeOver({
    read,
    commits,
    subscribe,
    end: async () => {
      await tail[Symbol.asyncDispose]();
      await Promise.all([connection.close(), read.destroy()]);
    },
  });
}

/** Throws what `openPostgresStore` would when nobody takes writes there, and changes nothing. */
export async function reachPostgres(url: string): Promise<void> {
  await (await findPrimary(url).connect(READING)).end();
}

async function migrateTo(primary: Primary): Promise<void> {
  const client = await primary.connect(MIGRATING);
  const db = kyselyOver({ connect: async () => poolClient(client, () => undefined), end: () => client.end() });
  try {
    await migrate(db as unknown as Kysely<unknown>);
    await followTimeline(client);
  } finally {
    await db.destroy();
  }
}

/**
 * A standby that took over, or a copy that was restored, goes on in a timeline of its own; an asynchronous one may have lost the newest revisions, which are
 * then given again to other changes. So an epoch names its timeline, and every cursor of the former one ends. Gives the process id of the backend.
 */
async function followTimeline(client: pg.Client): Promise<number> {
  const look = (lock: '' | 'for update') =>
    client.query<{ epoch: string; timeline: string; pid: number }>(
      `select epoch, ${TIMELINE} as timeline, pg_backend_pid() as pid from counter ${lock}`,
    );
  const [now] = (await look('')).rows;
  // Seldom: the lock is a write, which may have to wait.
  if (!now?.epoch.endsWith(`@${now.timeline}`)) {
    await client.query('begin');
    const { epoch, timeline } = (await look('for update')).rows[0] ?? { epoch: '', timeline: '' };
    if (!epoch.endsWith(`@${timeline}`))
      await client.query('update counter set epoch = $1', [`${randomUUID()}@${timeline}`]);
    await client.query(`${FORGET_WRITERS}; commit`);
  }
  return now?.pid ?? 0;
}
