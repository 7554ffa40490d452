/** Keeps one build ours: heartbeats with its fence, and tells when it is ours no longer. */
import { FencedError } from '@cupola/model/errors';
import { STAGING_LIMITS } from '@cupola/model/limits';
import type { InternalClient } from './internal-client.ts';

/** Why a build stops before its end. `taken`: another stager, or nobody, is to do it; `closing`: we end. */
export type StopReason = 'cancelled' | 'taken' | 'lease' | 'time' | 'cache' | 'closing';

export interface Lease {
  stop(): void;
}

interface Options {
  client: Pick<InternalClient, 'heartbeat'>;
  buildGuid: string;
  fence: number;
  leaseMs: number;
  /** Called at most once. */
  lost(reason: StopReason): void;
  /** With each heartbeat: what else is to be looked after at that pace. */
  beat(): Promise<void>;
}

export function keepLease({ client, buildGuid, fence, leaseMs, lost, beat }: Options): Lease {
  let renewedAt = performance.now();
  let leaseNowMs = leaseMs;
  let isOver = false;
  const end = (reason: StopReason): void => {
    if (isOver) return;
    isOver = true;
    clearInterval(timer);
    lost(reason);
  };
  const renew = async (): Promise<void> => {
    try {
      const { leaseMs: next, cancel } = await client.heartbeat(buildGuid, fence);
      renewedAt = performance.now();
      leaseNowMs = next;
      if (cancel) end('cancelled');
    } catch (error) {
      // An API that is being restarted keeps the lease: it gives every lease its full time anew.
      if (error instanceof FencedError) end('taken');
      else if (performance.now() - renewedAt > leaseNowMs) end('lease');
    }
  };
  const timer = setInterval(() => {
    void renew();
    void beat();
  }, STAGING_LIMITS.heartbeatMs);
  return {
    stop: () => {
      isOver = true;
      clearInterval(timer);
    },
  };
}
