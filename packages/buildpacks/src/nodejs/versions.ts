/** Versions and ranges, for who chooses toolchains: outside of the sandbox, where semver's many files are loaded once. */
import semver from 'semver';

/** The newest of `versions` in `range`; null when none is. A null range means any. Pre-releases only where the range names one. */
export function newestIn(range: string | null, versions: readonly string[]): string | null {
  return semver.maxSatisfying([...versions], range ?? '*');
}

/** Whether a version lies in a range; a null range holds every version. */
export function isIn(range: string | null, version: string): boolean {
  return range === null || semver.satisfies(version, range);
}

/** Whether some version lies in both ranges; a null range holds every version. */
export function overlaps(range: string | null, other: string): boolean {
  return range === null || semver.intersects(range, other);
}
