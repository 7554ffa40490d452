/**
 * What became of a COMMIT whose answer was lost. Each transaction leaves the writer's own count of its commits in the writer's row; whoever holds the lock on
 * the counter sees the last one. PostgreSQL's own answer (`pg_xact_status`) is not enough: a server that lost the transaction, because it was killed before it
 * had written it or is the standby that never got it, gives the transaction's number to the next one, and says that this was committed.
 */
import { UnknownOutcomeError } from '../errors.ts';
import type { HeldConnection } from './held-connection.ts';

/** ms. PostgreSQL ends the transaction of a lost client within 3 s, and a host takes over within some more. */
const WAIT_MS = 10_000;
const ASK_MS = 100;
/** ms. A process that has not written for so long is gone. */
const GONE_MS = 24 * 60 * 60 * 1_000;
const SERVER_TIME = '(extract(epoch from now()) * 1000)::bigint';

/** One process, by a guid of its own. */
export interface WriterMark {
  guid: string;
  /** Of the transaction that is meant. */
  commits: number;
}

/** A statement that leaves the mark, to be committed with what was written. */
export function leaveMark({ guid, commits }: WriterMark): string {
  return `insert into writers values ('${guid}', ${commits}, ${SERVER_TIME})
    on conflict (guid) do update set commits = excluded.commits, seen_at = excluded.seen_at`;
}

/** A statement that removes the marks of those who are gone. */
export const FORGET_WRITERS = `delete from writers where seen_at < ${SERVER_TIME} - ${GONE_MS}`;

/** Whether the transaction is there. Throws UnknownOutcomeError when nobody can tell. */
export async function wasCommitted(connection: HeldConnection, mark: WriterMark, cause: unknown): Promise<boolean> {
  const until = performance.now() + WAIT_MS;
  while (performance.now() < until) {
    const commits = await commitsOf(connection, mark.guid).catch(() => null);
    if (commits !== null) return commits === mark.commits;
    await new Promise(resolve => setTimeout(resolve, ASK_MS));
  }
  throw new UnknownOutcomeError({ cause });
}

/** Behind the counter's lock: the transaction that is asked for has ended, whichever way. */
async function commitsOf(connection: HeldConnection, guid: string): Promise<number> {
  const client = await connection.get();
  try {
    const ask = `begin; select 1 from counter for update; select commits from writers where guid = '${guid}'; rollback`;
    const [, , found] = await connection.run(client, ask);
    return (found?.rows[0] as { commits: number } | undefined)?.commits ?? 0;
  } catch (error) {
    await connection.run(client, 'rollback').catch(() => undefined);
    throw error;
  }
}
