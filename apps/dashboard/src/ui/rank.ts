/**
 * Of many named things those that somebody may mean: the name begins with what was typed, then a part of it does, then it is in it, then its letters come in that order.
 * Equals stay in the order that they had.
 */
export function bestOf<T extends { name: string }>(all: readonly T[], typed: string): T[] {
  const wanted = typed.trim().toLowerCase();
  if (wanted === '') return [...all];
  return all
    .map(one => ({ one, rank: rankOf(one.name.toLowerCase(), wanted) }))
    .filter(({ rank }) => rank < NO_MATCH)
    .sort((a, b) => a.rank - b.rank)
    .map(({ one }) => one);
}

const NO_MATCH = 4;

function rankOf(name: string, wanted: string): number {
  if (name.startsWith(wanted)) return 0;
  if (name.split(/[-_. /]/).some(part => part.startsWith(wanted))) return 1;
  if (name.includes(wanted)) return 2;
  let from = 0;
  for (const letter of wanted) {
    from = name.indexOf(letter, from) + 1;
    if (from === 0) return NO_MATCH;
  }
  return NO_MATCH - 1;
}
