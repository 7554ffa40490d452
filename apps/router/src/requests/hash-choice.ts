/**
 * Which copy a header's value chooses, for routes whose option `loadbalancing` is `hash`: the one for which value and copy together hash highest
 * (rendezvous hashing). Every router chooses the same without a table to keep; when a copy comes or goes, only the requests that are its own move.
 */

/** Null: the route does not choose by a header, or the request has none: the router then goes round (CF). */
export function hashValue(
  options: Readonly<Record<string, string>>,
  names: readonly string[],
  rawHeaders: readonly string[],
): string | null {
  if (options.loadbalancing !== 'hash') return null;
  const at = names.indexOf((options.hash_header ?? '').toLowerCase());
  return at === -1 ? null : (rawHeaders[at * 2 + 1] ?? null);
}

/** From 0 to 1, evenly; the same for the same two texts everywhere. */
export function hashWeight(value: string, key: string): number {
  let hash = 0x811c9dc5;
  for (const text of [value, '\0', key])
    for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  // FNV-1a alone leaves keys that differ in their last letter close together; these are the last steps of MurmurHash3.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

/** How many requests a copy may have at once (consistent hashing with bounded loads); `factor` 0: any number. */
export function loadBound(factor: number, { active, copies }: { active: number; copies: number }): number {
  return factor === 0 ? Number.POSITIVE_INFINITY : Math.ceil((factor * (active + 1)) / copies);
}
