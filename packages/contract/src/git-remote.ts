/** Repositories of forges, as users name them for a webhook. */

/** What a forge is, as far as its webhooks and its API differ. Gitea and Forgejo have one of each. */
export const FORGES = ['github', 'gitlab', 'gitea'] as const;
export type Forge = (typeof FORGES)[number];

export interface GitRemote {
  /** Normal: scheme, host, port where it is not the usual one, path. */
  readonly url: string;
  /** `team/shop`, of GitLab also `group/team/shop`. */
  readonly path: string;
}

const URL_MAX = 1_024;
const PART = /^[A-Za-z0-9_~][\w.~-]*$/;

/**
 * The repository at an https address (http: of hosts that the operator lists); null for what is none. No login is in it, since addresses are shown and logged;
 * no part begins with a hyphen or a dot; other protocols run programs or read files (threats.md 7).
 */
export function gitRemote(text: string): GitRemote | null {
  if (text.length > URL_MAX) return null;
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) return null;
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') return null;
  const parts = url.pathname.replace(/^\/|\/$/g, '').split('/');
  if (parts.length < 2 || !parts.every(part => PART.test(part))) return null;
  return { url: `${url.protocol}//${url.host}/${parts.join('/')}`, path: parts.join('/').replace(/\.git$/, '') };
}
