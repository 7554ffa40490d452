/**
 * The platform's store: SQLite in the data folder, or the PostgreSQL database that `state/database` names. Moving from one to the other is a wish on disk,
 * `state/database.next`: whoever opens the store next, before anything is served, copies it whole and remembers the new place as the last act. Killed in the
 * midst, it begins again; what cannot be done leaves the platform where it was, and says why in `state/database.error`.
 */
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { copyStore } from '@cupola/store/copy-store';
import { StoreUnavailableError } from '@cupola/store/errors';
import { openSqliteStore } from '@cupola/store/sqlite';
import type { Store } from '@cupola/store/store';
import { writeDurable } from './platform-config.ts';

/** What `--to` calls the store of the data folder. */
export const EMBEDDED = 'embedded';

const at = (state: string) => ({
  sqlite: join(state, 'store.db'),
  url: join(state, 'database'),
  next: join(state, 'database.next'),
  error: join(state, 'database.error'),
});

const readLine = (file: string): string | null => (existsSync(file) ? readFileSync(file, 'utf8').trim() : null);

/** `postgres://...`, or `embedded`. */
export function storePlace(state: string): string {
  return readLine(at(state).url) ?? EMBEDDED;
}

/** Opens the store where it is; where it is wished to be, if that can be done. */
export async function openStore(state: string): Promise<Store> {
  const { next, error } = at(state);
  const wished = readLine(next);
  if (wished !== null && wished !== storePlace(state))
    try {
      await move(state, wished);
      rmSync(error, { force: true });
    } catch (failure) {
      writeDurable(error, `${wordsOf(failure)}\n`, 0o600);
    }
  rmSync(next, { force: true });
  return openAt(state, storePlace(state));
}

/** For the next start. */
export function wishStore(state: string, place: string): void {
  rmSync(at(state).error, { force: true });
  writeDurable(at(state).next, `${place}\n`, 0o600);
}

/** Why the last wish was not fulfilled; null: it was. */
export function moveFailure(state: string): string | null {
  return readLine(at(state).error);
}

/** Why the store cannot be opened now; null: it can. Only a server of its own can be away. */
export async function storeFailure(state: string): Promise<string | null> {
  const place = storePlace(state);
  if (place === EMBEDDED) return null;
  const { reachPostgres } = await import('@cupola/store/postgres');
  return reachPostgres(place).then(() => null, wordsOf);
}

/** Read-only users of the store, as `backup`, want no move. */
export function openStoreAsItIs(state: string): Promise<Store> {
  return openAt(state, storePlace(state));
}

/** A host that does not answer is told by what it, or the way to it, said. */
function wordsOf(failure: unknown): string {
  if (failure instanceof StoreUnavailableError && failure.cause instanceof Error)
    return `the database cannot be reached: ${failure.cause.message}`;
  return (failure as Error).message;
}

/** A place without its password. */
export function shownPlace(place: string): string {
  return place.replace(/^(\w+:\/\/[^:@/]*):[^@/]*@/, '$1:***@');
}

async function openAt(state: string, place: string): Promise<Store> {
  if (place === EMBEDDED) return openSqliteStore({ path: at(state).sqlite });
  const { openPostgresStore } = await import('@cupola/store/postgres');
  return openPostgresStore({ url: place });
}

async function move(state: string, wished: string): Promise<void> {
  const { sqlite, url } = at(state);
  if (wished !== EMBEDDED) {
    await copyTo(state, () => openAt(state, wished));
    writeDurable(url, `${wished}\n`, 0o600);
    // Nobody shall take it for the state of now.
    renameSync(sqlite, `${sqlite}.moved`);
    for (const tail of ['-wal', '-shm']) rmSync(`${sqlite}${tail}`, { force: true });
    return;
  }
  const made = `${sqlite}.new`;
  for (const tail of ['', '-wal', '-shm']) rmSync(`${made}${tail}`, { force: true });
  await copyTo(state, () => openSqliteStore({ path: made }));
  renameSync(made, sqlite);
  rmSync(url);
}

async function copyTo(state: string, open: () => Promise<Store>): Promise<void> {
  const target = await open();
  try {
    const source = await openStoreAsItIs(state);
    try {
      await copyStore(source, target);
    } finally {
      await source.close();
    }
  } finally {
    await target.close();
  }
}
