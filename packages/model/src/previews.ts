/** Previews: an app of its own for each branch, or pull request, beside the one that is deployed. What they are called, and which events make or end one. */

/** None; for branches of the repository; for pull requests from forks too, whose authors may be anybody. */
export const PREVIEW_RULES = ['off', 'on', 'forks'] as const;
export type PreviewRule = (typeof PREVIEW_RULES)[number];

/** All ours: a laptop holds some, and one that nobody has pushed to for days is forgotten. */
export const PREVIEW_LIMITS = { perAppMax: 20, hoursDefault: 72, hoursMax: 720, variablesMax: 100 } as const;

/** Of a DNS label (RFC 1035). */
const LABEL_MAX = 63;
const HASH_LENGTH = 7;

/** What a preview is of: a branch, or a pull request of a fork by its number, written `#12`, which is no name of a branch. */
export function pullSource(number: number): string {
  return `#${number}`;
}

/**
 * What the preview of `source` may be called, best first: `shop-fix` for the branch fix of shop. Each is an app's name and a host's label at once: letters,
 * digits and hyphens, at most 63. One that had to be changed to be that has a hash of both names behind it, so that `a/b` and `a-b` are two; the last one
 * always has, for where the first is taken by something else.
 */
export function previewNames(app: string, source: string): readonly string[] {
  const wanted = source.startsWith('#') ? `pr-${source.slice(1)}` : source;
  const plain = label(`${app}-${wanted}`);
  const tail = `-${hash(`${app}\0${source}`)}`;
  const hashed = `${(plain || 'app').slice(0, LABEL_MAX - tail.length).replace(/-+$/, '')}${tail}`;
  const isSame = plain === `${app}-${wanted}` && plain.length <= LABEL_MAX;
  return isSame ? [plain, hashed] : [hashed];
}

function label(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');
}

/** FNV-1a of 32 bits, in letters and digits: tells names apart, and proves nothing. Two that meet are refused by who makes the app. */
function hash(text: string): string {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) value = Math.imul(value ^ text.charCodeAt(at), 0x01000193) >>> 0;
  return value.toString(36).padStart(HASH_LENGTH, '0');
}

/** What a forge may be asked for: a branch, or the head of a pull request, never a ref of an event's own choice. */
export function isFetchedRef(ref: string): boolean {
  return /^refs\/(?:heads\/[A-Za-z0-9_][A-Za-z0-9._/-]*|pull\/\d{1,10}\/head|merge-requests\/\d{1,10}\/head)$/.test(
    ref,
  );
}

/** What of a manifest counts for a preview. Routes and services are the app's own, and so is the number of its instances. */
const KEPT = new Set(
  (
    'name path buildpack buildpacks stack lifecycle command env docker memory disk-quota log-rate-limit-per-second timeout processes sidecars metadata ' +
    'health-check-type health-check-http-endpoint health-check-interval health-check-invocation-timeout ' +
    'readiness-health-check-type readiness-health-check-http-endpoint readiness-health-check-interval readiness-health-check-invocation-timeout ' +
    'type process-types'
  ).split(' '),
);
/** What a stranger may not ask for: as much as the quota has, an image of theirs, or labels by which others choose. */
const NOT_OF_FORKS = new Set(['docker', 'memory', 'disk-quota', 'log-rate-limit-per-second', 'metadata']);

/** A manifest's entry as a preview has it. Unknown keys are left out: what the next version of a manifest may ask for is nothing to give to a branch unasked. */
export function previewManifest(
  entry: Readonly<Record<string, unknown>>,
  { isFork }: { isFork: boolean },
): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(entry)) {
    const name = key.replaceAll('_', '-');
    if (!KEPT.has(name) || (isFork && NOT_OF_FORKS.has(name))) continue;
    const isList = (name === 'processes' || name === 'sidecars') && Array.isArray(value);
    kept[key] = isList
      ? value.map(one => (typeof one === 'object' && one !== null ? previewManifest(one, { isFork }) : one))
      : value;
  }
  return kept;
}
