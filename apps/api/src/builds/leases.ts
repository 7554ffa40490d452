/**
 * Leases of builds, judged by the API that granted them, on its own monotonic clock: clocks of processes do not compare, and wall clocks jump
 * (failure-rules.md section 1). Kept in memory: an API that has just been started gives every claimed build a full lease first, so that its own restart
 * takes no build from a stager.
 */
import { STAGING_LIMITS } from '@cupola/model/limits';

/** A build as far as its lease goes: its row says whether it is claimed, and under which fence. */
export interface ClaimedBuild {
  guid: string;
  fence: number;
  /** Null: nobody holds it. */
  stager: string | null;
}

export interface BuildLeases {
  /** The stager that holds `fence` has been heard: it has a full lease from now on. */
  extend(guid: string, fence: number): void;
  /** Whether a stager holds the build and was heard recently enough. */
  stands(build: ClaimedBuild): boolean;
  /** The build has ended, or is nobody's. */
  end(guid: string): void;
}

export function createBuildLeases(monotonic: () => number): BuildLeases {
  const startedAt = monotonic();
  const heard = new Map<string, { fence: number; atMs: number }>();
  return {
    extend: (guid, fence) => void heard.set(guid, { fence, atMs: monotonic() }),
    stands: ({ guid, fence, stager }) => {
      if (stager === null) return false;
      const known = heard.get(guid);
      const atMs = known?.fence === fence ? known.atMs : startedAt;
      return monotonic() - atMs < STAGING_LIMITS.leaseMs;
    },
    end: guid => void heard.delete(guid),
  };
}
