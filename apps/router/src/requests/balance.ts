/**
 * Chooses the copy for a request: round robin over a route's pool, or the one with the fewest requests in flight where the route's option
 * `loadbalancing` says `least-connection`, or the one that a header's value names where it says `hash` (hash-choice.ts). Copies that failed are passed over for 30 s unless nothing else is left; copies that could not be dialled are out
 * until the table states them anew, or, so that a wrong suspicion heals by itself, until they are tried again after the same while a request would wait.
 */
import type { RouterSettings } from '../settings.ts';
import type { Backend, RouteEntry } from '../table/route-table.ts';
import { hashWeight, loadBound } from './hash-choice.ts';
import type { Selector } from './selection.ts';

export interface Balance {
  /** `full`: there are copies, but all have as many connections as they may. `none`: there is no copy to try. */
  choose(entry: RouteEntry, wish: Wish): Backend | 'full' | 'none';
  /** Counts a request towards a copy; call the result once when it is over. */
  occupy(backend: Backend): () => void;
  /** It could not be dialled. */
  pruned(key: string): void;
  /** It was dialled but did not answer properly. */
  failed(key: string): void;
  /** The table says that these are healthy: suspicion from dialling ends. */
  restated(keys: readonly string[]): void;
  forget(key: string): void;
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

interface Health {
  active: number;
  /** Monotonic ms; 0 when it never failed. */
  failedAtMs: number;
  prunedAtMs: number;
}

interface Deps {
  settings: RouterSettings;
  /** Its machine does not answer now. */
  isDown(backend: Backend): boolean;
  monotonic(): number;
}

export function createBalance({ settings, isDown, monotonic }: Deps): Balance {
  const known = new Map<string, Health>();
  const turns = new Map<string, number>();
  const healthOf = (key: string): Health => {
    let health = known.get(key);
    if (health === undefined) {
      health = { active: 0, failedAtMs: 0, prunedAtMs: 0 };
      known.set(key, health);
    }
    return health;
  };
  /** 0: fine. 1: failed lately. 2: was not to be dialled, but that is a while ago, or its machine does not answer. 3: out. */
  const suspicion = (backend: Backend, now: number): 0 | 1 | 2 | 3 => {
    const { prunedAtMs, failedAtMs } = known.get(backend.key) ?? { prunedAtMs: 0, failedAtMs: 0 };
    if (prunedAtMs !== 0) return now - prunedAtMs >= settings.dialGraceMs ? 2 : 3;
    if (isDown(backend)) return 2;
    return failedAtMs !== 0 && now - failedAtMs < settings.failedEndpointSkipMs ? 1 : 0;
  };

  const activeOf = ({ key }: Backend): number => known.get(key)?.active ?? 0;
  /** Null: nothing but the turn decides. */
  const loadRank = ({ item }: RouteEntry): ((backend: Backend) => number) | null =>
    item.options.loadbalancing === 'least-connection' ? activeOf : null;
  const hashRank = ({ item, pool }: RouteEntry, value: string): ((backend: Backend) => number) => {
    const factor = Number(item.options.hash_balance ?? 0);
    const active = factor === 0 ? 0 : pool.reduce((sum, backend) => sum + activeOf(backend), 0);
    const most = loadBound(factor, { active, copies: pool.length });
    return backend => (activeOf(backend) >= most ? 2 : 1) - hashWeight(value, backend.key);
  };

  const choose = (entry: RouteEntry, { selector, sticky, hashed, tried }: Wish): Backend | 'full' | 'none' => {
    const { pool, item } = entry;
    const now = monotonic();
    const usable = (backend: Backend): boolean =>
      !tried.has(backend.key) && (selector === null || selector(backend)) && suspicion(backend, now) < 3;
    const isFull = (backend: Backend): boolean =>
      (known.get(backend.key)?.active ?? 0) >= settings.backendConnectionsMax;
    if (sticky !== null) {
      const tied = pool.find(backend => backend.instanceGuid === sticky);
      if (tied !== undefined && usable(tied) && suspicion(tied, now) === 0 && !isFull(tied)) return tied;
    }
    const turn = turns.get(item.guid) ?? Math.floor(now) % Math.max(1, pool.length);
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
      const rank = suspicion(backend, now) * 1e6 + (weigh === null ? 0 : weigh(backend));
      if (rank >= bestRank) continue;
      [best, bestRank, bestAt] = [backend, rank, at];
      if (rank === 0) break;
    }
    if (best === null) return full ? 'full' : 'none';
    turns.set(item.guid, bestAt + 1);
    return best;
  };

  return {
    choose,
    occupy: backend => {
      const health = healthOf(backend.key);
      health.active++;
      return () => {
        health.active--;
      };
    },
    pruned: key => {
      healthOf(key).prunedAtMs = monotonic();
    },
    failed: key => {
      healthOf(key).failedAtMs = monotonic();
    },
    restated: keys => {
      for (const key of keys) {
        const health = known.get(key);
        if (health !== undefined) health.prunedAtMs = 0;
      }
    },
    forget: key => {
      known.delete(key);
    },
    forgetRoute: guid => {
      turns.delete(guid);
    },
  };
}
