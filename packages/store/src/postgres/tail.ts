/**
 * One reader of the feed for a process, however many watch: it is woken by NOTIFY, looks each second besides, and tells all of them. LISTEN has a connection
 * of its own; after a loss it listens again and then reads, so nothing is missed between.
 */
import type pg from 'pg';
import type { Change, Cursor } from '../store.ts';
import { endSoon, type Primary, READING } from './primary.ts';

/** What wakes the watchers of every process. */
export const CHANNEL = 'cupola_changes';
/** ms. A notification may be lost with its connection: the counter is looked at all the same. */
const LOOK_MS = 1_000;
/** ms. A connection that nobody uses does not tell that it is dead. */
const PROVE_MS = 5_000;
/** ms: first and longest wait before connecting again. */
const RECONNECT_MS = [50, 1_000] as const;
const CHANGES_AT_ONCE = 1_000;

interface Deps {
  primary: Primary;
  /** Whether a notification comes from this process, which knows already. By the writer's backend. */
  isOwn(processId: number): boolean;
  cursor(): Promise<Cursor>;
  changesAfter(after: Cursor, limit: number): Promise<Change[] | null>;
  tell(changes: readonly Change[] | null): void;
}

export interface Tail extends AsyncDisposable {
  /** What this process has just committed: told at once when nothing of another's lies before it. */
  committed(changes: readonly Change[]): void;
}

/** Begins at the newest position. */
export async function startTail({ primary, isOwn, cursor, changesAfter, tell }: Deps): Promise<Tail> {
  let at = await cursor();
  let looking: Promise<void> | null = null;
  let isWanted = false;
  let isOver = false;
  let listener: pg.Client | null = null;

  function advance(changes: readonly Change[]): void {
    const newest = changes.at(-1);
    if (newest === undefined) return;
    at = { ...at, revision: newest.revision };
    tell(changes);
  }

  async function catchUp(): Promise<void> {
    for (;;) {
      const read = await changesAfter(at, CHANGES_AT_ONCE);
      if (read === null) {
        at = await cursor();
        tell(null);
        continue;
      }
      if (read.length === 0) return;
      // Our own commits may have been told while this was read.
      advance(read.filter(({ revision }) => revision > at.revision));
    }
  }

  async function lookLoop(): Promise<void> {
    while (isWanted && !isOver) {
      isWanted = false;
      await catchUp().catch(() => undefined); // The next look, a second later at most, reads them.
    }
    looking = null;
  }

  function look(): void {
    isWanted = true;
    if (!isOver) looking ??= lookLoop();
  }

  async function listen(): Promise<void> {
    let wait: number = RECONNECT_MS[0];
    while (!isOver) {
      try {
        const client = await primary.connect(READING);
        const ended = new Promise<void>(resolve => client.once('end', resolve));
        client.on('notification', ({ processId }) => {
          if (!isOwn(processId)) look();
        });
        await client.query(`listen ${CHANNEL}`);
        listener = client;
        if (isOver) endSoon(client);
        look();
        [wait] = RECONNECT_MS;
        await ended;
      } catch {
        // Not to be reached: again after a while.
      }
      listener = null;
      if (isOver) return;
      await new Promise(resolve => setTimeout(resolve, wait));
      wait = Math.min(wait * 2, RECONNECT_MS[1]);
    }
  }

  /** A server that has become a standby, or that another one has taken over from, is no place to listen. */
  async function prove(): Promise<void> {
    const client = listener;
    if (client === null) return;
    await primary.prove(client).catch(() => endSoon(client));
  }

  const listening = listen();
  const looks = setInterval(look, LOOK_MS);
  const proofs = setInterval(() => void prove(), PROVE_MS);
  return {
    committed: changes => {
      if (changes[0]?.revision === at.revision + 1) advance(changes);
      else look();
    },
    [Symbol.asyncDispose]: async () => {
      isOver = true;
      clearInterval(looks);
      clearInterval(proofs);
      if (listener !== null) endSoon(listener);
      await Promise.all([looking, listening]);
    },
  };
}
