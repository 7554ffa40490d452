/** A line or some of them, by their times in ns: what an address of the page may name (`?log=FROM-TO`), so that a colleague sees the same. Pure. */
export interface LogRange {
  fromNs: bigint;
  toNs: bigint;
}

/** Null: it names none. */
export function readRange(text: string | undefined): LogRange | null {
  const [, from, to] = /^(\d{1,19})-(\d{1,19})$/.exec(text ?? '') ?? [];
  if (from === undefined || to === undefined || BigInt(from) > BigInt(to)) return null;
  return { fromNs: BigInt(from), toNs: BigInt(to) };
}

export const rangeText = ({ fromNs, toNs }: LogRange): string => `${fromNs}-${toNs}`;

/** So far that it reaches this line too. */
export function reaching(range: LogRange | null, ns: bigint): LogRange {
  if (range === null) return { fromNs: ns, toNs: ns };
  return { fromNs: ns < range.fromNs ? ns : range.fromNs, toNs: ns > range.toNs ? ns : range.toNs };
}

export const isIn = (range: LogRange | null, ns: bigint): boolean =>
  range !== null && ns >= range.fromNs && ns <= range.toNs;
