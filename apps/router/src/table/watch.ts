/**
 * Follows `GET /internal/routes/watch` for ever: a snapshot replaces the table, `upsert` and `remove` change it, each line moves the cursor. A line that is
 * late, doubled or lost by a broken connection does no harm: the next connection resumes from the cursor. While nobody answers, nothing is removed.
 */
import { type RouteItem, routeItem, watchLine } from '@cupola/contract/internal';
import { watchLines } from '@cupola/contract/watch-lines';
import type { Logger } from 'pino';
import type { Client } from 'undici';
import { z } from 'zod';
import type { RouterSettings } from '../settings.ts';
import type { RouteTable } from './route-table.ts';
import type { Cursor } from './table-file.ts';

const line = watchLine(z.unknown());
const RETRY_FIRST_MS = 50;
/** A line longer than this is no table of ours: 250,000 routes take about 200 MB. */
const LINE_MAX_BYTES = 512 * 1024 * 1024;

interface Deps {
  client: Client;
  table: RouteTable;
  settings: RouterSettings;
  /** Where to resume from; null asks for a snapshot. */
  cursor: Cursor | null;
  /** After each line that changed or confirmed the table. */
  advanced(cursor: Cursor, changed: boolean): void;
  log: Logger;
  random(): number;
}

/** Runs until `signal` is aborted; every failure is logged and tried again after 50, 100, 200 ... 1,000 ms. */
export async function followRoutes(deps: Deps, signal: AbortSignal): Promise<void> {
  const { settings, log } = deps;
  const state = { cursor: deps.cursor };
  let failures = 0;
  while (!signal.aborted) {
    try {
      await followOnce(deps, state, signal, () => {
        failures = 0;
      });
    } catch (error) {
      if (signal.aborted) return;
      if (failures === 0) log.warn({ err: error }, 'the watch of routes broke; the table stays as it is');
    }
    const waitMs = Math.min(RETRY_FIRST_MS * 2 ** failures, settings.watchRetryMaxMs) * (0.9 + 0.2 * deps.random());
    failures++;
    await pause(waitMs, signal);
  }
}

async function followOnce(
  deps: Deps,
  state: { cursor: Cursor | null },
  signal: AbortSignal,
  heard: () => void,
): Promise<void> {
  const { client, settings } = deps;
  const { cursor } = state;
  const query = cursor === null ? {} : { epoch: cursor.epoch, after: String(cursor.revision) };
  const { statusCode, body } = await client.request({
    method: 'GET',
    path: '/internal/routes/watch',
    query,
    signal,
    headersTimeout: settings.watchSilenceMs,
    bodyTimeout: settings.watchSilenceMs,
    headers: { accept: 'application/x-ndjson' },
  });
  if (statusCode !== 200) {
    await body.dump();
    throw new Error(`the API answered ${statusCode} to the watch of routes`);
  }
  const take = watchLines(LINE_MAX_BYTES, text => apply(deps, state, text));
  for await (const chunk of body as AsyncIterable<Buffer>) {
    heard();
    take(chunk);
  }
}

/** One bad route must not cost all the others theirs: it is logged and left as it was. */
function understood(item: unknown, { table, log }: Deps): RouteItem[] {
  const parsed = routeItem.safeParse(item);
  if (parsed.success) return [parsed.data];
  const guid = (item as { guid?: unknown } | null)?.guid;
  log.error({ issues: parsed.error.issues, guid }, 'a route of the watch was not understood');
  const known = typeof guid === 'string' ? table.byGuid(guid) : null;
  return known === null ? [] : [known.item];
}

function apply(deps: Deps, state: { cursor: Cursor | null }, text: string): void {
  const { table, advanced } = deps;
  const said = line.parse(JSON.parse(text));
  if (said.type === 'snapshot') table.replaceAll(said.items.flatMap(item => understood(item, deps)));
  else if (said.type === 'upsert') for (const item of understood(said.item, deps)) table.upsert(item);
  else if (said.type === 'remove') table.remove(said.guid);
  state.cursor = { epoch: said.epoch, revision: said.revision };
  advanced(state.cursor, said.type !== 'synced');
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done);
  });
}
