/**
 * Chooses the copy for a request: round robin over a route's pool, or the one with the fewest requests in flight where the route's option
 * `loadbalancing` says `least-connection`, or the one that a header's value names where it says `hash` (hash-choice.ts). Whom to pass over: suspicion.ts.
 */
import type { RouterSettings } from '../settings.ts';
import type { Backend, RouteEntry } from '../table/route-table.ts';
import { hashWeight, loadBound } from './hash-choice.ts';
import type { Selector } from './selection.ts';
import { createSuspicion, type Suspicion } from './suspicion.ts';

export interface Balance extends Omit<Suspicion, 'of' | 'chosen'> {
  /** `full`: there are copies, but all have as many connections as they may. `none`: there is no copy to try. */
  choose(entry: RouteEntry, wish: Wish): Backend | 'full' | 'none';
  /** Counts a request towards a copy; call the result once when it is over. */
  occupy(backend: Backend): () => void;
  forgetRoute(guid: string): void;
}

export interface Wish {
  readonly selector: Selector;
  /** Instance guid of the sticky cookie. */
  readonly sticky: string | null;
  /** The header's value that chooses; null: the route does not go by one, or there is none. */
  readonly hashed: string | null;
  /** Keys that this request has tried already. */
  readonly tried: ReadonlySet<string>;
}

interface Deps {
  settings: RouterSettings;
  /** Its machine does not answer now. */
  isDown(backend: Backend): boolean;
  monotonic(): number;
}

export function createBalance({ settings, isDown, monotonic }: Deps): Balance {
  const suspicion = createSuspicion({ settings, isDown, monotonic });
  /** Requests under way, by copy. */
  const loads = new Map<string, { active: number }>();
  const turns = new Map<string, number>();

  const activeOf = ({ key }: Backend): number => loads.get(key)?.active ?? 0;
  /** Null: nothing but the turn decides. */
  const loadRank = ({ item }: RouteEntry): ((backend: Backend) => number) | null =>
    item.options.loadbalancing === 'least-connection' ? activeOf : null;
  const hashRank = ({ item, pool }: RouteEntry, value: string): ((backend: Backend) => number) => {
    const factor = Number(item.options.hash_balance ?? 0);
    const all = factor === 0 ? 0 : pool.reduce((sum, backend) => sum + activeOf(backend), 0);
    const most = loadBound(factor, { active: all, copies: pool.length });
    return backend => (activeOf(backend) >= most ? 2 : 1) - hashWeight(value, backend.key);
  };

  const choose = (entry: RouteEntry, { selector, sticky, hashed, tried }: Wish): Backend | 'full' | 'none' => {
    const { pool, item } = entry;
    const usable = (backend: Backend): boolean =>
      !tried.has(backend.key) && (selector === null || selector(backend)) && suspicion.of(backend) < 3;
    const isFull = (backend: Backend): boolean => activeOf(backend) >= settings.backendConnectionsMax;
    if (sticky !== null) {
      const tied = pool.find(backend => backend.instanceGuid === sticky);
      if (tied !== undefined && usable(tied) && suspicion.of(tied) === 0 && !isFull(tied)) return tied;
    }
    const turn = turns.get(item.guid) ?? Math.floor(monotonic()) % Math.max(1, pool.length);
    let best: Backend | null = null;
    let bestRank = Number.POSITIVE_INFINITY;
    let bestAt = 0;
    let full = false;
    const weigh = hashed === null ? loadRank(entry) : hashRank(entry, hashed);
    for (let step = 0; step < pool.length; step++) {
      const at = (turn + step) % pool.length;
      const backend = pool[at] as Backend;
      if (!usable(backend)) continue;
      if (isFull(backend)) {
        full = true;
        continue;
      }
      // Suspicion weighs more than load or hash, those more than the turn.
      const rank = suspicion.of(backend) * 1e6 + (weigh === null ? 0 : weigh(backend));
      if (rank >= bestRank) continue;
      [best, bestRank, bestAt] = [backend, rank, at];
      if (rank === 0) break;
    }
    if (best === null) return full ? 'full' : 'none';
    turns.set(item.guid, bestAt + 1);
    return best;
  };

  return {
    ...suspicion,
    choose: (entry, wish) => {
      const choice = choose(entry, wish);
      if (typeof choice !== 'string') suspicion.chosen(choice);
      return choice;
    },
    occupy: ({ key }) => {
      const load = loads.get(key) ?? { active: 0 };
      loads.set(key, load);
      load.active++;
      return () => {
        load.active--;
      };
    },
    forget: key => {
      loads.delete(key);
      suspicion.forget(key);
    },
    forgetRoute: guid => {
      turns.delete(guid);
    },
  };
}
