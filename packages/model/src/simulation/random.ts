/** Chance that can be had again: the same seed gives the same numbers on every machine. */
export interface Random {
  /** 0 to below - 1. */
  int(below: number): number;
  /** Both ends included. */
  between(min: number, max: number): number;
  chance(probability: number): boolean;
  pick<T>(list: readonly T[]): T;
}

/** mulberry32: small, fast, and good enough to shuffle faults. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  // Neighbouring seeds begin alike; after a few draws they do not.
  for (let draw = 0; draw < 4; draw++) next();
  const int = (below: number): number => Math.floor(next() * below);
  return {
    int,
    between: (min, max) => min + int(max - min + 1),
    chance: probability => next() < probability,
    pick: list => {
      const picked = list[int(list.length)];
      if (picked === undefined) throw new Error('nothing to pick from');
      return picked;
    },
  };
}
