/** Questions about ranges inside a build: semver is forty files, and most apps ask for nothing. */

/** Whether a text is a version or a range of versions. */
export async function isRange(text: string): Promise<boolean> {
  const { default: semver } = await import('semver');
  return semver.validRange(text) !== null;
}

/** Whether every version in a range is at least this one. */
export async function isAtLeast(range: string, version: string): Promise<boolean> {
  const { default: semver } = await import('semver');
  return semver.validRange(range) !== null && semver.subset(range, `>=${version}`);
}

/** An open range with the first of these limits that it has a version in common with; one version, or a choice of ranges, stays as it is. */
export async function narrowed(range: string, limits: readonly string[]): Promise<string> {
  const { default: semver } = await import('semver');
  if (semver.valid(range) !== null || range.includes('||')) return range;
  const limit = limits.find(one => semver.intersects(range, one));
  return limit === undefined ? range : `${range} ${limit}`;
}
