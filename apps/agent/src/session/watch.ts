/**
 * Follows `GET /internal/cells/:id/watch` for ever: a snapshot replaces the view, `upsert` and `remove` change it, each line moves the cursor, a snapshot or
 * `synced` line confirms the view. A connection without any line for 15 s (empty ones come each 5 s) is dead. The next one resumes from the cursor. While
 * nobody answers, the view stays as it is and only grows old.
 */
import { type PlacementItem, placementItem, watchLine } from '@cupola/contract/internal';
import { FencedError } from '@cupola/model/errors';
import { ROUTER_LIMITS } from '@cupola/model/limits';
import type { Logger } from 'pino';
import { z } from 'zod';
import { backoff, pause } from '../pause.ts';
import type { InternalApi } from './internal-api.ts';
import type { PlacementView } from './placement-view.ts';

const line = watchLine(z.unknown());
const NEWLINE = 10;
/** 250 placements with their environments are far below it. */
const LINE_MAX_BYTES = 256 * 1024 * 1024;

interface Deps {
  api: InternalApi;
  cellId: string;
  view: PlacementView;
  /** The placement that a copy here was started from; null when there is none. */
  placementOf(guid: string): PlacementItem | null;
  /** A connection stands: its first line has come. */
  connected(): void;
  /** The view has changed, or has been confirmed. */
  changed(): void;
  log: Logger;
}
interface Cursor {
  epoch: string;
  revision: number;
}

/** Runs until `signal` is aborted. @throws FencedError when a newer session took over. */
export async function followPlacements(deps: Deps, signal: AbortSignal): Promise<void> {
  const state: { cursor: Cursor | null } = { cursor: null };
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      await followOnce(deps, state, signal, () => {
        failures = 0;
      });
    } catch (error) {
      if (error instanceof FencedError) throw error;
      if (signal.aborted) return;
      if (failures === 0) deps.log.warn({ err: error }, 'the watch of placements broke; what runs goes on');
    }
    await pause(backoff(failures), signal);
  }
}

async function followOnce(
  deps: Deps,
  state: { cursor: Cursor | null },
  signal: AbortSignal,
  heard: () => void,
): Promise<void> {
  const { cursor } = state;
  const body = await deps.api.stream(`/internal/cells/${deps.cellId}/watch`, {
    query: cursor === null ? {} : { epoch: cursor.epoch, after: String(cursor.revision) },
    over: 'watch',
    silenceMs: ROUTER_LIMITS.watchSilenceMs,
    signal,
  });
  let connected = false;
  let parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    heard();
    if (!connected) deps.connected();
    connected = true;
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      parts.push(chunk.subarray(from, at));
      const text = Buffer.concat(parts).toString();
      parts = [];
      length = 0;
      from = at + 1;
      if (text !== '') apply(deps, state, text);
    }
    parts.push(chunk.subarray(from));
    length += chunk.length - from;
    if (length > LINE_MAX_BYTES) throw new Error(`a line of the watch is longer than ${LINE_MAX_BYTES} bytes`);
  }
}

/** A placement that cannot be read must not look like a withdrawn one: what runs under its guid stays as it is. */
function understood(item: unknown, { view, placementOf, log }: Deps): PlacementItem[] {
  const parsed = placementItem.safeParse(item);
  if (parsed.success) return [parsed.data];
  const guid = (item as { guid?: unknown } | null)?.guid;
  log.error({ issues: parsed.error.issues, guid }, 'a placement was not understood');
  if (typeof guid !== 'string') return [];
  return [view.get(guid) ?? placementOf(guid) ?? []].flat();
}

function apply(deps: Deps, state: { cursor: Cursor | null }, text: string): void {
  const { view, changed } = deps;
  const said = line.parse(JSON.parse(text));
  if (said.type === 'snapshot') view.replaceAll(said.items.flatMap(item => understood(item, deps)));
  else if (said.type === 'upsert') for (const item of understood(said.item, deps)) view.upsert(item);
  else if (said.type === 'remove') view.remove(said.guid);
  if (said.type === 'snapshot' || said.type === 'synced') view.confirm();
  state.cursor = { epoch: said.epoch, revision: said.revision };
  changed();
}
