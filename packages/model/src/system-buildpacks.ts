/** The buildpacks that come with the platform, by the names that users write. */

/** In the order in which they look at an app: as Cloud Foundry's, so that a Rails app with a package.json is Ruby's (cf-deployment, `install_buildpacks`). */
export const SYSTEM_BUILDPACKS = [
  'staticfile_buildpack',
  'java_buildpack',
  'ruby_buildpack',
  'nodejs_buildpack',
  'go_buildpack',
  'python_buildpack',
  'php_buildpack',
  'binary_buildpack',
] as const;
export type SystemBuildpack = (typeof SYSTEM_BUILDPACKS)[number];

/** The addresses by which other platforms' manifests name the same buildpacks, with or without a branch. */
const WELL_KNOWN_URL = /^(?:https?|git):\/\/github\.com\/cloudfoundry\/([a-z]+)-buildpack(?:\.git)?(?:#[\w./-]+)?$/;

/** The platform's own buildpack that a name or a well-known address means; null when it means none of them. */
export function systemBuildpack(asked: string): SystemBuildpack | null {
  const inUrl = WELL_KNOWN_URL.exec(asked)?.[1];
  const wanted = inUrl === undefined ? asked : `${inUrl}_buildpack`;
  return SYSTEM_BUILDPACKS.find(name => name === wanted) ?? null;
}
