/** What became of a COMMIT whose answer was lost: asked of the server by the transaction's id (60 of 60 told true, cluster.md 1). */
import { StoreUnavailableError } from '../errors.ts';
import type { HeldConnection } from './held-connection.ts';

/** ms. PostgreSQL ends the transaction of a lost client within 3 s, and a host takes over within some more. */
const WAIT_MS = 20_000;
const ASK_MS = 100;
/** An id that this server has not given yet is of a history that it never heard of. */
const ASK = `select case when $1::xid8 >= pg_snapshot_xmax(pg_current_snapshot()) then null else pg_xact_status($1::xid8) end as status`;

/** Not to be tried again: it may have been done. */
export class UnknownOutcomeError extends StoreUnavailableError {}

/** Whether the transaction `xid` is there. Throws UnknownOutcomeError when nobody can tell. */
export async function wasCommitted(connection: HeldConnection, xid: string, cause: unknown): Promise<boolean> {
  const until = performance.now() + WAIT_MS;
  while (performance.now() < until) {
    const status = await ask(connection, xid).catch(() => 'nobody answers');
    if (status === 'committed') return true;
    // Null: too old or never heard of. A standby that took over without the transaction has none of its rows either.
    if (status === 'aborted' || status === null) return false;
    await new Promise(resolve => setTimeout(resolve, ASK_MS));
  }
  throw new UnknownOutcomeError({ cause });
}

async function ask(connection: HeldConnection, xid: string): Promise<string | null> {
  const [result] = await connection.run(await connection.get(), ASK, [xid]);
  return (result?.rows[0] as { status: string | null } | undefined)?.status ?? null;
}
