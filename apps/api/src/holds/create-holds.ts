/**
 * Poller or reader (held-requests.md): the cf CLI sleeps a fixed 3 s after each answer that says "not yet", so a poll of the invocation that caused the work
 * is answered when the state is final. Everyone else is a reader, and is never kept waiting.
 *
 * An invocation is known by its X-B3-TraceId, one value for each since 8.12; older ones by their token and User-Agent. Our own clients say `Prefer: wait=N`
 * with the polls that may wait, and with those only. What invocations caused is kept in memory: after a restart their polls are answered at once.
 */
import { HOLD_LIMITS } from '@cupola/model/limits';
import type { Store } from '@cupola/store/store';
import { isCliAgent } from '../http/cli-agent.ts';
import type { HoldAsker, HoldKind, Holds } from './holds.ts';
import type { TokenCap } from './token-cap.ts';

interface Deps {
  store: Pick<Store, 'subscribe'>;
  /** Ms of a clock that never jumps. */
  monotonic(): number;
  /** Shared with the log tails that are held. */
  cap: TokenCap;
}

/** An invocation owns what it caused for this long (held-requests.md: the app started "in the last 10 min"). */
const OWNED_MS = 600_000;
/** Facts remembered; the oldest goes first. Far more than invocations run at once. */
const OWNERS_MAX = 10_000;
/** Of a trace or a User-Agent, both of which clients choose: what is remembered is bounded. */
const NAME_MAX = 100;

const BOUND_MS: Record<HoldKind, number> = {
  package: HOLD_LIMITS.pollMs,
  build: HOLD_LIMITS.pollMs,
  job: HOLD_LIMITS.pollMs,
  deployment: HOLD_LIMITS.pollMs,
  stats: HOLD_LIMITS.statsMs,
  development: HOLD_LIMITS.pollMs,
};

export function createHolds({ store, monotonic, cap }: Deps): Holds {
  /** Until when each invocation owns each piece of work. */
  const owners = new Map<string, number>();

  const remember = (key: string): void => {
    owners.delete(key);
    owners.set(key, monotonic() + OWNED_MS);
    for (const [oldest, until] of owners) {
      if (owners.size <= OWNERS_MAX && until > monotonic()) break;
      owners.delete(oldest);
    }
  };
  const isKnown = (key: string): boolean => (owners.get(key) ?? 0) > monotonic();
  const owns: Holds['owns'] = (request, kind, guid) => isKnown(workKey(request, kind, guid));

  function boundOf(request: HoldAsker, kind: HoldKind, work: { guid: string; processGuid?: string }): number {
    if (request.preferWaitSeconds !== null) return Math.min(request.preferWaitSeconds * 1_000, BOUND_MS[kind]);
    if (!isCliAgent(request.userAgent) || !owns(request, kind, work.guid)) return 0;
    const isSummary = work.processGuid !== undefined && isKnown(summaryKey(request, work.guid, work.processGuid));
    return isSummary ? 0 : BOUND_MS[kind];
  }

  return {
    owns,
    own: (request, kind, guid) => {
      remember(workKey(request, kind, guid));
      if (kind !== 'stats') return;
      // A new start: what was summed up belongs to the former one.
      const summaries = summaryKey(request, guid, '');
      for (const key of owners.keys()) if (key.startsWith(summaries)) owners.delete(key);
    },
    summaryBegins: (request, appGuid, processGuid) => {
      if (owns(request, 'stats', appGuid)) remember(summaryKey(request, appGuid, processGuid));
    },
    wait: async (request, options) => {
      const boundMs = boundOf(request, options.kind, options);
      const release = boundMs > 0 ? cap.take(request.actor.tokenId) : null;
      if (release === null) return options.read();
      try {
        return await readUntilFinal(store, AbortSignal.any([request.signal, AbortSignal.timeout(boundMs)]), options);
      } finally {
        release();
      }
    },
  };
}

interface Awaited<T> {
  concerns(kind: string, guid: string): boolean;
  read(): Promise<T>;
  isFinal(value: T): boolean;
}

async function readUntilFinal<T>(
  store: Pick<Store, 'subscribe'>,
  over: AbortSignal,
  { concerns, read, isFinal }: Awaited<T>,
): Promise<T> {
  let wake = (): void => undefined;
  const unsubscribe = store.subscribe(changes => {
    if (changes === null || changes.some(({ kind, guid }) => concerns(kind, guid))) wake();
  });
  const stop = (): void => wake();
  over.addEventListener('abort', stop);
  try {
    for (;;) {
      // Before the read: a change that comes while it runs is not missed.
      const changed = new Promise<void>(resolve => {
        wake = resolve;
      });
      const value = await read();
      if (isFinal(value) || over.aborted) return value;
      await changed;
    }
  } finally {
    unsubscribe();
    over.removeEventListener('abort', stop);
  }
}

type Invoker = Pick<HoldAsker, 'trace' | 'actor' | 'userAgent'>;

function invocation({ trace, actor, userAgent }: Invoker): string {
  if (trace !== null) return `trace ${trace.slice(0, NAME_MAX)}`;
  return `token ${actor.tokenId} ${userAgent.slice(0, NAME_MAX)}`;
}

function workKey(request: Invoker, kind: HoldKind, guid: string): string {
  return `${invocation(request)} ${kind} ${guid}`;
}

function summaryKey(request: Invoker, appGuid: string, processGuid: string): string {
  return `${invocation(request)} summary ${appGuid} ${processGuid}`;
}
