/** What the scheduler wants on this cell: a snapshot replaces the view, `upsert` and `remove` change it, a snapshot or `synced` line confirms it. */
import { type PlacementItem, placementItem, type WatchLine } from '@cupola/contract/internal';
import type { Logger } from 'pino';
import { followFeed } from './feed.ts';
import type { InternalApi } from './internal-api.ts';
import type { PlacementView } from './placement-view.ts';

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

/** Runs until `signal` is aborted. @throws FencedError when a newer session took over. */
export async function followPlacements(deps: Deps, signal: AbortSignal): Promise<void> {
  const { api, cellId, connected, log } = deps;
  const path = `/internal/cells/${cellId}/watch`;
  await followFeed({ api, path, what: 'placements', connected, said: said => apply(deps, said), log }, signal);
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

function apply(deps: Deps, said: WatchLine<unknown>): void {
  const { view, changed } = deps;
  if (said.type === 'snapshot') view.replaceAll(said.items.flatMap(item => understood(item, deps)));
  else if (said.type === 'upsert') for (const item of understood(said.item, deps)) view.upsert(item);
  else if (said.type === 'remove') view.remove(said.guid);
  if (said.type === 'snapshot' || said.type === 'synced') view.confirm();
  changed();
}
