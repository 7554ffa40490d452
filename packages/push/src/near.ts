/** Pure: which of some names somebody may have meant. */

/** Changes that a typo is made of; more is another word (ours). */
const DISTANCE_MAX = 2;
const OPTIONS_MAX = 3;

/** `Did you mean web1?`; null when nothing is near. */
export function didYouMean(name: string, known: readonly string[]): string | null {
  const near = known
    .map(one => ({ one, distance: distance(name.toLowerCase(), one.toLowerCase()) }))
    .filter(({ one, distance: far }) => far <= DISTANCE_MAX && far < one.length)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, OPTIONS_MAX);
  return near.length === 0 ? null : `Did you mean ${near.map(({ one }) => one).join(', or ')}?`;
}

/** Insertions, deletions, replacements, and swaps of neighbours (optimal string alignment). */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > DISTANCE_MAX) return DISTANCE_MAX + 1;
  let older: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min((above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (above[j - 1] ?? 0) + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, (older[j - 2] ?? 0) + 1);
      row.push(best);
    }
    older = above;
    above = row;
  }
  return above[b.length] ?? 0;
}
