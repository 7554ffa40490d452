/**
 * One request's way to a copy, as decisions only: which to try, when to wait, what to answer when nothing is left. Whoever serves it (plain or upgrade)
 * does what the step says and reports how that went.
 *
 * Keeps true: at most 3 attempts and never more than there are copies; tried again only what was not written (the dial failed), or what ended without an
 * answer and may be repeated; after a refused dial of every copy it waits for the table's next word instead of failing at once. Where nothing is left but
 * copies whose agent has ended, it waits for the agent and asks them again: they live on, and know nothing of it.
 */
import type { RouterSettings } from '../settings.ts';
import type { Backend, RouteEntry, RouteTable } from '../table/route-table.ts';
import { type Answer, answers } from './answers.ts';
import type { Balance } from './balance.ts';
import type { Selector } from './selection.ts';

export interface Failure {
  /**
   * `dial`: no connection, so nothing was written. `ended`: the connection ended before an answer began. `broken`: what came was no HTTP answer.
   * `refused`: our own HTTP client does not write such a request.
   */
  readonly kind: 'dial' | 'ended' | 'broken' | 'refused';
  /** Short, for the answer's header and the log. */
  readonly cause: string;
  /** The connection went through an agent: it may be that one which has ended. */
  readonly behindAgent?: boolean;
}

export type Step =
  | { readonly do: 'try'; readonly backend: Backend }
  | { readonly do: 'hold'; readonly forMs: number }
  | { readonly do: 'answer'; readonly answer: Answer };

export interface Journey {
  readonly routeGuid: string;
  /** What to do now: at the start, and after a hold. */
  next(): Step;
  /** After an attempt failed; `bodyTouched`: a byte of the request's body has been passed on. */
  failed(backend: Backend, failure: Failure, bodyTouched: boolean): Step;
}

interface Deps {
  table: RouteTable;
  balance: Balance;
  settings: RouterSettings;
  /** Its agent does not answer now. */
  isDown(backend: Backend): boolean;
  monotonic(): number;
}

interface Traveller {
  readonly host: string;
  readonly routeGuid: string;
  readonly selector: Selector;
  readonly sticky: string | null;
  /** What chooses the copy of a route that goes by a header. */
  readonly hashed: string | null;
  readonly idempotent: boolean;
}

/** Most requests end with the first copy that they are sent to. */
const NONE: ReadonlySet<string> = new Set();

export function startJourney({ table, balance, settings, isDown, monotonic }: Deps, traveller: Traveller): Journey {
  const { host, routeGuid, selector, sticky, hashed, idempotent } = traveller;
  /** Copies that this request is not to be sent to again. */
  let tried = NONE;
  /** Those of them that may have acted on it: no word of the table makes them untried. */
  let reached = NONE;
  let seen: RouteEntry | null = null;
  let attempts = 0;
  let last: Failure | null = null;
  let heldSinceMs: number | null = null;
  /** Copies whose connection failed so that it may be their agent's end. */
  let behind: Backend[] = [];
  let failedAtMs = 0;
  let isAwaited = false;

  const answer = (what: Answer): Step => ({ do: 'answer', answer: what });
  const untry = (): void => {
    attempts = reached.size;
    tried = reached;
  };
  const agentIsBack = (): void => {
    balance.restated(behind.map(({ key }) => key));
    reached = NONE;
    behind = [];
    isAwaited = false;
    untry();
  };
  const proceed = (): Step => {
    const entry = table.byGuid(routeGuid);
    if (entry === null || entry.item.destinations.length === 0) return answer(answers.unknownRoute(host));
    if (entry !== seen) {
      // The table has spoken since: what could not be dialled may be new.
      seen = entry;
      untry();
    }
    const pool = selector === null ? entry.pool : entry.pool.filter(selector);
    if (selector !== null && pool.length === 0 && entry.pool.length > 0)
      return answer(answers.selectedCopyAbsent(host));
    if (attempts < Math.min(settings.attemptsMax, pool.length)) {
      const choice = balance.choose(entry, { selector, sticky, hashed, tried });
      if (choice === 'full') return answer(answers.backendsFull(host));
      if (choice !== 'none') {
        attempts++;
        return { do: 'try', backend: choice };
      }
    }
    const now = monotonic();
    isAwaited = behind.some(isDown);
    const mayBeAgent = behind.length > 0 && now - failedAtMs < settings.agentLookMs;
    if (last !== null && last.kind !== 'dial' && !isAwaited && !mayBeAgent)
      return answer(answers.endpointFailure(last.cause));
    // A copy that is in the table but cannot be dialled has most likely just ended: its agent is about to say so.
    const graceMs = entry.holdMs > 0 ? entry.holdMs : pool.length > 0 || last !== null ? settings.dialGraceMs : 0;
    const patienceMs = isAwaited ? Math.max(graceMs, settings.agentGraceMs) : graceMs;
    heldSinceMs ??= now;
    const leftMs = heldSinceMs + patienceMs - now;
    const lookMs = behind.length > 0 ? settings.agentLookMs : (entry.retryMs ?? leftMs);
    if (leftMs > 0) return { do: 'hold', forMs: Math.min(leftMs, lookMs) };
    if (entry.retryMs !== undefined) return answer(answers.apiAway());
    return answer(last === null ? answers.noEndpoints(host) : answers.endpointFailure(last.cause));
  };

  return {
    routeGuid,
    next: () => {
      if (seen?.retryMs !== undefined) untry();
      else if (isAwaited && !behind.some(isDown)) agentIsBack();
      return proceed();
    },
    failed: (backend, failure, bodyTouched) => {
      last = failure;
      tried = new Set([...tried, backend.key]);
      if (failure.kind === 'refused') return answer(answers.badRequest('cannot be written as HTTP/1.1'));
      if (failure.kind === 'dial') {
        // No word of the table would make one of these usable again.
        if (seen?.retryMs === undefined) balance.pruned(backend);
      } else {
        reached = new Set([...reached, backend.key]);
        balance.failed(backend);
      }
      const repeatable = failure.kind === 'dial' || (failure.kind === 'ended' && idempotent && !bodyTouched);
      if (repeatable && failure.behindAgent === true) {
        behind = [...behind, backend];
        failedAtMs = monotonic();
      }
      return repeatable ? proceed() : answer(answers.endpointFailure(failure.cause));
    },
  };
}
