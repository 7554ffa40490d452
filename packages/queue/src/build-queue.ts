/** A build that waits. Nothing in it is to be trusted but the guid: the claim itself is a conditional update in the store. */
export interface BuildHint {
  buildGuid: string;
  /** Lower goes first: 1 + unfinished builds of that organization, so that organizations take turns. */
  priority: number;
}

/** Hints that a build waits. At least once and in no sure order. No request ever awaits the queue: only the outbox loop offers. */
export interface BuildQueue {
  /** Idempotent by `buildGuid`. An offer that gets lost is made again by the outbox; one that cannot be taken now throws, within seconds. */
  offer(hint: BuildHint): Promise<void>;
  /** The most urgent hint, ours for `leaseMs` and then another's; null when none waits, or none can be had now. */
  next(stagerId: string, leaseMs: number): Promise<BuildHint | null>;
  /** Forgets the hint: that build has ended. Unknown guids are no error, so a repeat does no harm. */
  done(buildGuid: string): Promise<void>;
  /** Called when a hint may have come: wakes who waits in `next`. Returns how to stop. */
  onOffer(listener: () => void): () => void;
  close(): Promise<void>;
}
