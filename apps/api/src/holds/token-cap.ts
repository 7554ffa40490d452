/** Held GETs of one token at a time; of those beyond, each is answered at once (held-requests.md). */
export interface TokenCap {
  /** Counts one more; returns how to give it back, or null when the token holds as many as it may. */
  take(tokenId: string): (() => void) | null;
}

export function createTokenCap(max: number): TokenCap {
  const held = new Map<string, number>();
  return {
    take: tokenId => {
      const holding = held.get(tokenId) ?? 0;
      if (holding >= max) return null;
      held.set(tokenId, holding + 1);
      let isGiven = false;
      return () => {
        if (isGiven) return;
        isGiven = true;
        const left = (held.get(tokenId) ?? 1) - 1;
        if (left > 0) held.set(tokenId, left);
        else held.delete(tokenId);
      };
    },
  };
}
