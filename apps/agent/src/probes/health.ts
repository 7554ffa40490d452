/**
 * Judges a copy's health (failure-rules.md section 2): until it is healthy for the first time, then whether it still is, and whether it wants requests.
 * Each function ends when its signal is aborted; none of them touches the sandbox.
 */
import { startProbeTimes } from '@cupola/model/cell-plan';
import { listeningCause, type UnhealthyFacts } from '@cupola/model/crash-cause';
import { INSTANCE_LIMITS } from '@cupola/model/limits';
import type { HealthCheck } from '@cupola/model/run-spec';
import type { CopyAddress } from '../host/addresses.ts';
import { jittered, pause } from '../pause.ts';
import { type Dial, probeHttp, probePort } from './dial.ts';
import { listeners, ownListeners } from './listening.ts';

export interface Probed {
  address: CopyAddress;
  /** Of the sandbox's first process; null once it has ended. */
  pid(): number | null;
}

/** What ends a copy: in words, and the facts behind them. */
export interface Unhealthy {
  reason: string;
  facts: UnhealthyFacts;
}

/**
 * While a start is young its port is tried between probes too, so often that no start becomes a twentieth longer by it: the 10, 20, 40 ms grid alone would
 * cost it up to its own length again (ours; one try takes 0.2 ms of a processor).
 */
const LOOK_SHARE = 1 / 20;
const LOOK_MIN_MS = 2;
const LOOK_MAX_MS = 10;
const LOOKS_FOR_MS = 2_000;

/**
 * Resolves null as soon as the app is healthy, or with what was found when its time is over.
 * @param startedMsAgo for a start that a former agent began.
 */
export async function untilHealthy(
  check: HealthCheck,
  probed: Probed,
  { startedMsAgo, monotonic, signal }: { startedMsAgo: number; monotonic(): number; signal: AbortSignal },
): Promise<Unhealthy | null> {
  if (check.type === 'process') return null;
  const timeoutMs = startTimeoutMs(check);
  const began = monotonic() - startedMsAgo;
  const port = (): Promise<string | null> => probe({ ...check, type: 'port' }, probed);
  let wasUp = false;
  let found: string | null = null;
  let isPathAtFault = false;
  /** What the path answered before it answered otherwise, or no more: a machine under load is slow in the end, and that is not what is wrong. */
  let before: string | null = null;
  let path: string | null = null;
  /** Waits until then, and looks for the port meanwhile. True as soon as it is there. */
  const look = async (untilMs: number): Promise<boolean> => {
    for (let now = monotonic(); now < untilMs && !signal.aborted; now = monotonic()) {
      const isLooking = !wasUp && now - began < LOOKS_FOR_MS;
      const everyMs = Math.min(LOOK_MAX_MS, Math.max(LOOK_MIN_MS, (now - began) * LOOK_SHARE));
      await pause(isLooking ? Math.min(everyMs, untilMs - now) : untilMs - now, signal);
      if (isLooking && !signal.aborted && (await port()) === null) return true;
    }
    return false;
  };
  for (const at of startProbeTimes(timeoutMs)) {
    if (at < startedMsAgo && at < timeoutMs) continue;
    const isThere = await look(began + at);
    if (signal.aborted) return null;
    // The http kind waits for the port first: an app that is not up yet should not have its first request timed out.
    found = isThere ? null : await port();
    wasUp ||= found === null;
    isPathAtFault = found === null && check.type === 'http';
    if (isPathAtFault) {
      const answered = await probe(check, probed);
      if (answered !== path) [before, path] = [path, answered];
      found = answered;
    }
    if (found === null) return null;
  }
  const inAll = isPathAtFault && before !== null ? `${before}; at last, ${found}` : (found ?? '');
  return unhealthy(probed, { found: inAll, isStart: true, isPathAtFault });
}

/** CF's default, or what the app asks for, up to CF's maximum. */
export function startTimeoutMs({ timeoutMs }: HealthCheck): number {
  return Math.min(timeoutMs ?? INSTANCE_LIMITS.startTimeoutMs, INSTANCE_LIMITS.startTimeoutMaxMs);
}

/** Resolves with the reason when a healthy copy fails a probe; null when aborted. */
export async function untilUnhealthy(
  check: HealthCheck,
  probed: Probed,
  signal: AbortSignal,
): Promise<Unhealthy | null> {
  if (check.type === 'process') return untilAborted(signal);
  while (!signal.aborted) {
    await pause(jittered(check.intervalMs ?? INSTANCE_LIMITS.livenessIntervalMs), signal);
    if (signal.aborted) return null;
    const found = await probe(check, probed);
    if (found !== null && !signal.aborted) return unhealthy(probed, { found, isStart: false, isPathAtFault: false });
  }
  return null;
}

/** Nobody asks; whoever waits for an end must not take this for one. */
function untilAborted(signal: AbortSignal): Promise<null> {
  return new Promise(resolve => {
    if (signal.aborted) return resolve(null);
    signal.addEventListener('abort', () => resolve(null), { once: true });
  });
}

/** Tells each time whether the copy wants requests changes; begins with a probe at once. Resolves when aborted. */
export async function followReadiness(
  check: HealthCheck,
  probed: Probed,
  { wasReady, changed, signal }: { wasReady: boolean; changed(ready: boolean): void; signal: AbortSignal },
): Promise<void> {
  if (check.type === 'process') return;
  let isReady = wasReady;
  while (!signal.aborted) {
    const ready = (await probe(check, probed)) === null;
    if (signal.aborted) return;
    if (ready !== isReady) changed(ready);
    isReady = ready;
    const everyMs = isReady ? (check.intervalMs ?? INSTANCE_LIMITS.livenessIntervalMs) : INSTANCE_LIMITS.unreadyProbeMs;
    await pause(jittered(everyMs), signal);
  }
}

function probe(check: HealthCheck, { address }: Probed): Promise<string | null> {
  const dial: Dial = {
    host: address.host,
    port: address.port,
    timeoutMs: check.invocationTimeoutMs ?? INSTANCE_LIMITS.probeTimeoutMs,
  };
  return check.type === 'http' ? probeHttp(dial, check.endpoint ?? '/') : probePort(dial);
}

async function unhealthy(
  { address, pid }: Probed,
  facts: Pick<UnhealthyFacts, 'found' | 'isStart' | 'isPathAtFault'>,
): Promise<Unhealthy> {
  const process = pid();
  const isShared = address.network === null;
  const listening = process === null ? [] : await (isShared ? ownListeners(process) : listeners(process));
  const seen = { listening, port: address.port, loopbackCounts: isShared };
  const explained = process === null ? null : listeningCause(seen);
  const reason = `health check failed: ${facts.found}${explained === null ? '' : ` (${explained.evidence})`}`;
  return { reason, facts: { ...facts, ...seen } };
}
