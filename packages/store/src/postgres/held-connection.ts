/** One connection that is kept, and made anew when it was lost. */
import type pg from 'pg';
import { isLost } from './errors.ts';
import { endSoon, type Primary, WRITING } from './primary.ts';

export interface HeldConnection {
  /** Throws StoreUnavailableError when no host takes writes. */
  get(): Promise<pg.Client>;
  /** Null while there is none. */
  current(): pg.Client | null;
  /** Ends `client`; the next `get` makes another. */
  drop(client: pg.Client): void;
  /** Runs statements, and drops the connection when it was lost meanwhile. A result for each statement. */
  run(client: pg.Client, text: string, parameters?: readonly unknown[]): Promise<pg.QueryResult[]>;
  close(): Promise<void>;
}

/** @param prepare is done with each new connection before it is used. */
export function holdConnection(primary: Primary, prepare: (client: pg.Client) => Promise<void>): HeldConnection {
  let held: pg.Client | null = null;

  const drop = (client: pg.Client): void => {
    endSoon(client);
    if (held === client) held = null;
  };
  return {
    get: async () => {
      if (held !== null) return held;
      const client = await primary.connect(WRITING);
      client.once('end', () => drop(client));
      try {
        await prepare(client);
      } catch (error) {
        drop(client);
        throw error;
      }
      held = client;
      return client;
    },
    current: () => held,
    drop,
    run: async (client, text, parameters) => {
      try {
        const results: unknown = await client.query(text, parameters as unknown[] | undefined);
        return (Array.isArray(results) ? results : [results]) as pg.QueryResult[];
      } catch (error) {
        if (isLost(error)) drop(client);
        throw error;
      }
    },
    close: async () => {
      const client = held;
      held = null;
      await client?.end().catch(() => undefined);
    },
  };
}
