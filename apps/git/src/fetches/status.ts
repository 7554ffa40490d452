/** What the forge shows beside a commit: that it is being deployed, and how that has ended. By the address of the repository, never by what an event says. */
import http from 'node:http';
import https from 'node:https';
import type { Forge } from '@cupola/contract/git-remote';
import type { Place } from './place.ts';

export type CommitState = 'pending' | 'success' | 'failure';

export interface Status {
  readonly forge: Forge;
  /** `team/shop`. */
  readonly path: string;
  readonly commit: string;
  readonly token: string;
  readonly app: string;
  readonly state: CommitState;
  /** Where the app answers; null: nowhere. */
  readonly url: string | null;
}

const TIMEOUT_MS = 10_000;
const TEXTS = { pending: 'is being deployed', success: 'runs', failure: 'was not deployed' };
/** GitLab's words. */
const GITLAB_STATES = { pending: 'running', success: 'success', failure: 'failed' };

/** The request that says it (docs.github.com "Commit statuses", docs.gitlab.com "Commits API: set commit pipeline status", docs.gitea.com "API"). */
export function statusRequest(
  origin: string,
  status: Status,
): { url: string; headers: Record<string, string>; body: unknown } {
  const { forge, path, commit, token, app, state, url } = status;
  const description = `${app} ${TEXTS[state]}`.slice(0, 140);
  const target = url === null ? {} : { target_url: url };
  if (forge === 'gitlab')
    return {
      url: `${origin}/api/v4/projects/${encodeURIComponent(path)}/statuses/${commit}`,
      headers: { 'private-token': token },
      body: { state: GITLAB_STATES[state], name: `cupola/${app}`, description, ...target },
    };
  const body = { state, context: `cupola/${app}`, description, ...target };
  if (forge === 'gitea')
    return {
      url: `${origin}/api/v1/repos/${path}/statuses/${commit}`,
      headers: { authorization: `token ${token}` },
      body,
    };
  const api = origin === 'https://github.com' ? 'https://api.github.com' : `${origin}/api/v3`;
  return {
    url: `${api}/repos/${path}/statuses/${commit}`,
    headers: { authorization: `Bearer ${token}`, accept: 'application/vnd.github+json' },
    body,
  };
}

/** @throws when the forge does not take it. `place` is that of the request's host. */
export async function sendStatus(
  place: Place,
  { headers, body }: Omit<ReturnType<typeof statusRequest>, 'url'>,
): Promise<void> {
  const { url, addresses } = place;
  const text = JSON.stringify(body);
  const found = addresses.map(address => ({ address, family: address.includes(':') ? 6 : 4 }));
  const status = await new Promise<number>((resolve, reject) => {
    const request = (url.protocol === 'https:' ? https : http).request(
      url,
      {
        method: 'POST',
        agent: false,
        headers: {
          ...headers,
          'user-agent': 'cupola-git',
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(text),
        },
        lookup: (_host, options, done) =>
          options.all === true ? done(null, found) : done(null, found[0]?.address ?? '', found[0]?.family ?? 4),
        timeout: TIMEOUT_MS,
      },
      answer => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      },
    );
    request.once('timeout', () => request.destroy(new Error('it does not answer')));
    request.once('error', reject);
    request.end(text);
  });
  if (status >= 300) throw new Error(`it answers ${status}: may the token write commit statuses?`);
}
