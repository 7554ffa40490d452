import type { LogLine } from './log-store.ts';

/** A sender's clock may be ahead by so much; times further on would pull all later lines with them. */
const AHEAD_MAX_NS = 1_000_000_000n;

/** The time that a line may claim; now, when its sender's clock is ahead. */
export function claimedNs({ timestampNs }: LogLine, nowMs: number): bigint {
  const nowNs = BigInt(nowMs) * 1_000_000n;
  return timestampNs > nowNs + AHEAD_MAX_NS ? nowNs : timestampNs;
}
