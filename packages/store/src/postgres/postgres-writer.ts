/**
 * What writes. A transaction begins with the lock on the counter's row, so that all writers, of every process, come one after another: commits have the order
 * of revisions, and nobody waits for two locks (cluster.md 1).
 */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { StoreUnavailableError, UnknownOutcomeError } from '../errors.ts';
import type { Writer } from '../writer.ts';
import { kyselyOver, poolClient } from './dialect.ts';
import { asStoreError, isLost, isPassing } from './errors.ts';
import type { HeldConnection } from './held-connection.ts';
import { leaveMark, wasCommitted } from './outcome.ts';

const BEGIN = 'begin; select revision from counter where id = 1 for update';

interface Open {
  client: pg.Client;
  revision: number;
}

export function postgresWriter(connection: HeldConnection): Writer {
  let open: Open | null = null;
  const guid = randomUUID();
  let commits = 0;

  /** The open transaction; it ended when its connection did. */
  const opened = (): Open => {
    if (open !== null && connection.current() !== open.client) open = null;
    if (open === null)
      throw new StoreUnavailableError({ cause: new Error('the connection was lost in the midst of a transaction') });
    return open;
  };
  const run = (text: string): Promise<pg.QueryResult[]> => connection.run(opened().client, text);
  const isOpen = (): boolean => open !== null && connection.current() === open.client;
  const rollback = async (): Promise<void> => {
    if (isOpen()) await run('rollback').catch(() => undefined);
    open = null;
  };

  return {
    db: kyselyOver({
      connect: async () => {
        const { client } = opened();
        return poolClient(client, broken => {
          if (broken) connection.drop(client);
        });
      },
      end: async () => undefined,
    }),
    begin: async () => {
      const client = await connection.get();
      try {
        const [, counter] = await connection.run(client, BEGIN);
        open = { client, ...(counter?.rows[0] as Omit<Open, 'client'>) };
      } catch (error) {
        await connection.run(client, 'rollback').catch(() => undefined);
        throw error;
      }
    },
    revision: async () => opened().revision,
    savepoint: async () => void (await run('savepoint mutation')),
    release: async () => void (await run('release mutation')),
    rollbackToSavepoint: async () => void (await run('rollback to mutation; release mutation')),
    isOpen,
    commit: async revision => {
      const mark = { guid, commits: ++commits };
      const count = revision === null ? '' : `update counter set revision = ${revision} where id = 1; `;
      try {
        // A transaction that an error has ended takes COMMIT for ROLLBACK.
        if ((await run(`${count}${leaveMark(mark)}; commit`)).at(-1)?.command !== 'COMMIT')
          throw new Error('the transaction was rolled back by an error that its mutation kept to itself');
      } catch (error) {
        if (!isLost(error) || !(await wasCommitted(connection, mark, error))) throw error;
      }
      open = null;
    },
    rollback,
    asError: asStoreError,
    isPassing: error => {
      if (error instanceof UnknownOutcomeError) return false;
      return error instanceof StoreUnavailableError || isPassing(error);
    },
  };
}
