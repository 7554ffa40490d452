/** What the scheduler wants on this cell, as the watch has told it, and when the API last said that this is all of it. */
import type { PlacementItem } from '@cupola/contract/internal';
import { isFresh } from '@cupola/model/cell-plan';

export interface PlacementView {
  get(guid: string): PlacementItem | null;
  all(): PlacementItem[];
  replaceAll(items: PlacementItem[]): void;
  upsert(item: PlacementItem): void;
  remove(guid: string): void;
  /** The API has said that up to now there is nothing else. */
  confirm(): void;
  /** Only then may anything be ended because it is not here. */
  fresh(): boolean;
}

export function createPlacementView(monotonic: () => number): PlacementView {
  let items = new Map<string, PlacementItem>();
  let confirmedAtMs: number | null = null;
  return {
    get: guid => items.get(guid) ?? null,
    all: () => [...items.values()],
    replaceAll: all => {
      items = new Map(all.map(item => [item.guid, item]));
    },
    upsert: item => void items.set(item.guid, item),
    remove: guid => void items.delete(guid),
    confirm: () => {
      confirmedAtMs = monotonic();
    },
    fresh: () => isFresh(confirmedAtMs, monotonic()),
  };
}
