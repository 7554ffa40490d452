/** Tells a flood of queries from many, so that one sandbox does not take the time of all. */

/** True for those of a source that are too many in their second. It remembers the sources of that second alone. */
export function floodGate({
  perSecond,
  monotonic,
}: {
  perSecond: number;
  monotonic(): number;
}): (source: string) => boolean {
  const counts = new Map<string, number>();
  let second = 0;
  return source => {
    const now = Math.floor(monotonic() / 1_000);
    if (now !== second) counts.clear();
    second = now;
    const count = (counts.get(source) ?? 0) + 1;
    counts.set(source, count);
    return count > perSecond;
  };
}
