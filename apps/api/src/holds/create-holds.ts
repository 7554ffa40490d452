/**
 * Poller or reader (held-requests.md): the cf CLI sleeps a fixed 3 s after each answer that says "not yet", so a poll of the invocation that caused the work
 * is answered when the state is final. Everyone else is a reader, and is never kept waiting.
 *
 * An invocation is known by its X-B3-TraceId, one value for each since 8.12; older ones by their token and User-Agent. Our own clients say `Prefer: wait=N`.
 */
import { HOLD_LIMITS } from '@cupola/model/limits';
import type { Store } from '@cupola/store/store';
import { isCliAgent } from '../http/cli-agent.ts';
import type { ApiRequest } from '../http/endpoint.ts';
import type { HoldKind, Holds } from './holds.ts';

interface Deps {
  store: Pick<Store, 'subscribe'>;
  /** Ms of a clock that never jumps. */
  monotonic(): number;
}

type Asker = Pick<ApiRequest, 'trace' | 'userAgent' | 'preferWaitSeconds' | 'signal'> & {
  actor: Pick<ApiRequest['actor'], 'tokenId'>;
};

/** An invocation owns what it caused for this long (held-requests.md: the app started "in the last 10 min"). */
const OWNED_MS = 600_000;
/** Invocations remembered; the oldest goes first. Far more than run at once. */
const OWNERS_MAX = 10_000;

const BOUND_MS: Record<HoldKind, number> = {
  package: HOLD_LIMITS.pollMs,
  build: HOLD_LIMITS.pollMs,
  job: HOLD_LIMITS.pollMs,
  stats: HOLD_LIMITS.statsMs,
};

export function createHolds({ store, monotonic }: Deps): Holds {
  /** Until when each invocation owns each piece of work. */
  const owners = new Map<string, number>();
  const held = new Map<string, number>();

  const remember = (key: string): void => {
    owners.delete(key);
    owners.set(key, monotonic() + OWNED_MS);
    for (const [oldest, until] of owners) {
      if (owners.size <= OWNERS_MAX && until > monotonic()) break;
      owners.delete(oldest);
    }
  };
  const owns = (key: string): boolean => (owners.get(key) ?? 0) > monotonic();

  function boundOf(request: Asker, kind: HoldKind, guid: string, processGuid: string | undefined): number {
    if (request.preferWaitSeconds !== null) return Math.min(request.preferWaitSeconds * 1_000, BOUND_MS[kind]);
    if (!isCliAgent(request.userAgent) || !owns(workKey(request, kind, guid))) return 0;
    const isSummary = processGuid !== undefined && owns(summaryKey(request, guid, processGuid));
    return isSummary ? 0 : BOUND_MS[kind];
  }

  return {
    own: (request, kind, guid) => {
      remember(workKey(request, kind, guid));
      // A new start: what was summed up belongs to the former one.
      for (const key of owners.keys()) if (key.startsWith(summaryKey(request, guid, ''))) owners.delete(key);
    },
    summaryBegins: (request, appGuid, processGuid) => {
      if (owns(workKey(request, 'stats', appGuid))) remember(summaryKey(request, appGuid, processGuid));
    },
    wait: async (request, { kind, guid, processGuid, concerns, read, isFinal }) => {
      const boundMs = boundOf(request, kind, guid, processGuid);
      const { tokenId } = request.actor;
      if (boundMs <= 0 || (held.get(tokenId) ?? 0) >= HOLD_LIMITS.perTokenMax) return read();
      held.set(tokenId, (held.get(tokenId) ?? 0) + 1);
      const changes = watchChanges(store, concerns);
      const over = AbortSignal.any([request.signal, AbortSignal.timeout(boundMs)]);
      try {
        for (;;) {
          const next = changes.next();
          const value = await read();
          if (isFinal(value) || over.aborted) return value;
          await Promise.race([next, aborted(over)]);
        }
      } finally {
        changes.stop();
        const left = (held.get(tokenId) ?? 1) - 1;
        if (left > 0) held.set(tokenId, left);
        else held.delete(tokenId);
      }
    },
  };
}

function invocation({ trace, actor, userAgent }: Pick<Asker, 'trace' | 'actor' | 'userAgent'>): string {
  return trace === null ? `token ${actor.tokenId} ${userAgent}` : `trace ${trace}`;
}

function workKey(request: Pick<Asker, 'trace' | 'actor' | 'userAgent'>, kind: HoldKind, guid: string): string {
  return `${invocation(request)} ${kind} ${guid}`;
}

function summaryKey(request: Pick<Asker, 'trace' | 'actor' | 'userAgent'>, appGuid: string, process: string): string {
  return `${invocation(request)} summary ${appGuid} ${process}`;
}

/** `next()`: the next change that concerns us after this call. */
function watchChanges(
  store: Pick<Store, 'subscribe'>,
  concerns: (kind: string, guid: string) => boolean,
): { next(): Promise<void>; stop(): void } {
  let wake: () => void = () => undefined;
  const stop = store.subscribe(changes => {
    if (changes.some(({ kind, guid }) => concerns(kind, guid))) wake();
  });
  return {
    stop,
    next: () =>
      new Promise(resolve => {
        wake = resolve;
      }),
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
