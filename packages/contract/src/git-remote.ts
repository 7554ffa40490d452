/** Repositories of forges, as users name them for a webhook. */

/** What a forge is, as far as its webhooks and its API differ. Gitea and Forgejo have one of each. */
export const FORGES = ['github', 'gitlab', 'gitea'] as const;
export type Forge = (typeof FORGES)[number];

export interface GitRemote {
  /** Normal: scheme, user over SSH, host, port where it is not the usual one, path. */
  readonly url: string;
  /** `team/shop`, of GitLab also `group/team/shop`. */
  readonly path: string;
}

const URL_MAX = 1_024;
const PART = /^[A-Za-z0-9_~][\w.~-]*$/;

/**
 * The repository at an https or ssh address (http: of hosts that the operator lists), or at `git@HOST:PATH`; null for what is none. No login is in it but a user's
 * name over SSH, since addresses are shown and logged; no part begins with a hyphen or a dot; other protocols run programs or read files (threats.md 7).
 */
export function gitRemote(text: string): GitRemote | null {
  if (text.length > URL_MAX) return null;
  const [, place, short] = /^([\w.-]+@[\w.-]+):(?!\/)([^:]+)$/.exec(text) ?? [];
  const url = URL.parse(place === undefined ? text : `ssh://${place}/${short}`);
  if (url === null || url.password !== '' || url.search !== '' || url.hash !== '') return null;
  const parts = url.pathname.replace(/^\/|\/$/g, '').split('/');
  if (parts.length < 2 || !parts.every(part => PART.test(part))) return null;
  const origin = url.protocol === 'ssh:' ? sshOrigin(url) : webOrigin(url);
  return origin === null ? null : { url: `${origin}/${parts.join('/')}`, path: parts.join('/').replace(/\.git$/, '') };
}

function webOrigin({ protocol, username, host }: URL): string | null {
  return (protocol === 'https:' || protocol === 'http:') && username === '' ? `${protocol}//${host}` : null;
}

/** A URL of a scheme that browsers do not know is taken as it is written: its host is looked at here. */
function sshOrigin({ username, hostname, port }: URL): string | null {
  const host = hostname.toLowerCase();
  const user = username === '' ? 'git' : username;
  if (!HOST.test(host) || !PART.test(user)) return null;
  return `ssh://${user}@${host}${port === '' || port === '22' ? '' : `:${port}`}`;
}
const HOST = /^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])$/;

export function isSshRemote(url: string): boolean {
  return url.startsWith('ssh://');
}
