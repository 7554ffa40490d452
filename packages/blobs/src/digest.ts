/** Digests come from requests too: nothing else may become a path or a key. */
export const isDigest = (text: string): boolean => /^[0-9a-f]{64}$/.test(text);

/** @throws TypeError */
export function assertDigest(text: string): void {
  if (!isDigest(text)) throw new TypeError(`"${text}" is no sha-256 in hex`);
}
