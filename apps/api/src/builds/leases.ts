/**
 * Whether the stager that claimed a build still has it. Each of its heartbeats moves a counter in the store (`build_heartbeats`), whichever API it spoke to;
 * each API judges by its own monotonic clock how long that counter has stood still: clocks of processes do not compare, and wall clocks jump
 * (failure-rules.md section 1). Kept in memory: what an API sees for the first time has a full lease, so that its own restart takes no build from a stager.
 */
import { STAGING_LIMITS } from '@cupola/model/limits';

/** A build as far as its lease goes: its row says whether it is claimed, and under which fence. */
export interface ClaimedBuild {
  guid: string;
  fence: number;
  /** Null: nobody holds it. */
  stager: string | null;
  /** Heartbeats under that fence, as the store has them; null: none yet. */
  beats: number | null;
}

export interface BuildLeases {
  /** Whether a stager holds the build and was heard recently enough. */
  stands(build: ClaimedBuild): boolean;
  /** What is not among these has ended, or is nobody's. */
  keep(guids: Iterable<string>): void;
}

export function createBuildLeases(monotonic: () => number): BuildLeases {
  const seen = new Map<string, { fence: number; beats: number | null; atMs: number }>();
  return {
    stands: ({ guid, fence, stager, beats }) => {
      if (stager === null) return false;
      const known = seen.get(guid);
      if (known?.fence === fence && known.beats === beats) return monotonic() - known.atMs < STAGING_LIMITS.leaseMs;
      seen.set(guid, { fence, beats, atMs: monotonic() });
      return true;
    },
    keep: guids => {
      const kept = new Set(guids);
      for (const guid of seen.keys()) if (!kept.has(guid)) seen.delete(guid);
    },
  };
}
