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

export interface GitAddress {
  url: string;
  /** A branch or tag; null: the repository's default. */
  ref: string | null;
}

/** Of a host, below it a path of plain names, without a login: what a build fetches is public. Longer ones are no address of a repository. */
const GIT_URL = /^https:\/\/[a-z0-9][a-z0-9.-]*(?::\d{1,5})?(?:\/[\w.~+-]+)+\/?$/i;
const URL_MAX = 1_024;
/** As git names branches and tags; nothing that could be an option, or lead elsewhere. */
const GIT_REF = /^(?!.*(?:\.\.|\/\/|@\{|\.lock$|\/$))[A-Za-z0-9_][\w./+-]{0,200}$/;

/** The repository that `https://HOST/PATH#REF` means; null for what is no such address. Other protocols can run programs or read files (threats.md row 7). */
export function gitBuildpack(asked: string): GitAddress | null {
  if (asked.length > URL_MAX) return null;
  const [url = '', ref, ...more] = asked.split('#');
  if (!GIT_URL.test(url) || more.length > 0) return null;
  if (url.split('/').some(part => part === '..' || part === '.' || part.startsWith('-'))) return null;
  if (ref !== undefined && !GIT_REF.test(ref)) return null;
  return { url, ref: ref ?? null };
}
