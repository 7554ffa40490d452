/**
 * What a router gets of a route (failure-rules.md section 5). Pure: facts and `now` in, item out. What it keeps true:
 *
 * - endpoints are copies that are RUNNING and ready, and that the scheduler still wants: a copy leaves its routes before its cell stops it, and one of a
 *   lost cell serves until something else does;
 * - those of the newest run spec alone, as soon as one of it is healthy;
 * - requests are held for what was planned or is starting again at once, not for what keeps crashing; the platform's own start plans all that is wanted;
 * - a stopped app's routes linger for a moment, since the cf CLI restarts by stop and start; then requests get 404.
 */
import type { RouteItem } from '@cupola/contract/internal';
import { STOP_LINGER_MS } from '@cupola/model/limits';
import type { CopyState } from '@cupola/model/states';

/** A copy that has a placement. */
export interface RoutedCopy {
  guid: string;
  index: number;
  runSpecGuid: string;
  state: CopyState;
  /** RUNNING, and its readiness check says so. */
  isRoutable: boolean;
  host: string | null;
  port: number | null;
  /** Where its cell takes connections for it from other machines; null: nowhere. */
  via: { cellId: string; host: string; port: number } | null;
  crashCount: number;
}
/** One process that a route leads to. Times are epoch ms. */
export interface RoutedProcess {
  appGuid: string;
  appName: string;
  spaceName: string;
  organizationName: string;
  processGuid: string;
  processType: string;
  isStarted: boolean;
  stoppedAt: number | null;
  instances: number;
  runSpecGuid: string | null;
  plannedAt: number | null;
  startTimeoutMs: number;
  copies: readonly RoutedCopy[];
}
export interface RouteFacts {
  guid: string;
  host: string;
  domain: string;
  path: string;
  options: Record<string, string>;
  processes: readonly RoutedProcess[];
}

type Destination = RouteItem['destinations'][number];

/** After the first two crashes in a row a copy starts again at once; the third waits (crash table). */
const HELD_CRASHES = 2;

/** Epoch ms. */
export interface Times {
  now: number;
  /** When the platform was started: what ended with it comes up again, as after a restart of each app. */
  startedAt: number;
}

/** The item, and when it changes by time alone: epoch ms, null for never. */
export function routeItem(facts: RouteFacts, times: Times): { item: RouteItem; dueAtMs: number | null } {
  const { now } = times;
  const { guid, host, domain, path, options } = facts;
  const present = facts.processes.filter(process => lingerEndMs(process) > now);
  const dueTimes = present
    .flatMap(process => [lingerEndMs(process), plannedEndMs(process, times)])
    .filter(time => time > now);
  const first = Math.min(...dueTimes);
  return {
    item: { guid, host, domain, path, destinations: present.map(process => destination(process, times)), options },
    dueAtMs: Number.isFinite(first) ? first : null,
  };
}

/** When requests begin to get 404; never while the app is STARTED. */
function lingerEndMs({ isStarted, stoppedAt }: RoutedProcess): number {
  return isStarted ? Number.POSITIVE_INFINITY : (stoppedAt ?? 0) + STOP_LINGER_MS;
}

/** Until when the last planned change may still be under way; the past when nobody waits for one. */
function plannedEndMs(process: RoutedProcess, { startedAt }: Times): number {
  const { plannedAt, startTimeoutMs } = process;
  return canHold(process) ? Math.max(plannedAt ?? 0, startedAt) + startTimeoutMs : 0;
}

function canHold(process: RoutedProcess): boolean {
  return process.isStarted && process.instances > 0 && endpointsOf(process).length === 0;
}

function destination(process: RoutedProcess, times: Times): Destination {
  const { appGuid, appName, spaceName, organizationName, processGuid, processType, startTimeoutMs } = process;
  return {
    appGuid,
    appName,
    spaceName,
    organizationName,
    processGuid,
    processType,
    endpoints: endpointsOf(process),
    holdMs: isExpected(process, times) ? startTimeoutMs : 0,
  };
}

function endpointsOf({ copies, runSpecGuid }: RoutedProcess): Destination['endpoints'] {
  const healthy = copies.filter(({ state, isRoutable }) => state === 'RUNNING' && isRoutable);
  const newest = healthy.filter(copy => copy.runSpecGuid === runSpecGuid);
  return (newest.length > 0 ? newest : healthy)
    .flatMap(({ guid, index, host, port, via }) =>
      host === null || port === null
        ? []
        : [{ instanceGuid: guid, index, host, port, ...(via === null ? {} : { via }) }],
    )
    .sort((a, b) => a.index - b.index || (a.instanceGuid < b.instanceGuid ? -1 : 1));
}

/** Nobody answers, but somebody will soon. */
function isExpected(process: RoutedProcess, times: Times): boolean {
  if (!canHold(process)) return false;
  const current = process.copies.filter(({ runSpecGuid }) => runSpecGuid === process.runSpecGuid);
  // One that keeps crashing is not expected any more, whatever was planned before.
  if (current.length > 0 && current.every(({ crashCount }) => crashCount > HELD_CRASHES)) return false;
  return plannedEndMs(process, times) > times.now || current.some(isRestarting);
}

function isRestarting({ state, crashCount }: RoutedCopy): boolean {
  return (state === 'CRASHED' || state === 'STARTING') && crashCount > 0 && crashCount <= HELD_CRASHES;
}
