import { describe, expect, test } from 'vitest';
import { intentOf, readEvent, type Settings } from './intent.ts';

const COMMIT = 'c'.repeat(40);
const NONE = '0'.repeat(40);
const on = (previews: Settings['previews']): Settings => ({ app: 'shop', branch: 'main', previews });
const push = (branch: string, after = COMMIT) => readEvent('push', () => ({ ref: `refs/heads/${branch}`, after }));
/** docs.github.com, "Webhook events and payloads: pull_request"; what is read of it. */
const pull = (
  action: string,
  { ref = 'fix', repo = { id: 1 } as { id: number } | null, sha = COMMIT, label = 'ada:fix' } = {},
) =>
  readEvent('pull_request', () => ({
    action,
    number: 12,
    pull_request: { head: { label, ref, sha, repo }, base: { ref: 'main', repo: { id: 1 } } },
  }));
/** docs.gitlab.com, "Webhook events: merge request events"; what is read of it. */
const merge = (action: string, given: Record<string, unknown> = {}) =>
  readEvent('merge request', () => ({
    object_attributes: {
      ...{ iid: 3, action, source_branch: 'fix', source_project_id: 1, target_project_id: 1 },
      ...{ last_commit: { id: COMMIT }, ...given },
    },
  }));

describe('intentOf()', () => {
  test.each([
    ['the branch of the webhook', push('main'), on('off'), { do: 'deploy', commit: COMMIT }],
    ['the same, with previews', push('main'), on('forks'), { do: 'deploy', commit: COMMIT }],
    ['another one, previews off', push('fix'), on('off'), { do: 'nothing' }],
    ['another one', push('fix'), on('on'), { do: 'preview', source: 'fix', ref: 'refs/heads/fix', isOnce: false }],
    ['a removed branch', push('fix', NONE), on('off'), { do: 'end', source: 'fix' }],
    ['the removal of the branch of the webhook', push('main', NONE), on('on'), { do: 'nothing' }],
    ['a name that no host has', push('a#b'), on('on'), { do: 'nothing' }],
    ['a pull request, previews off', pull('opened'), on('off'), { do: 'nothing' }],
    ['a pull request', pull('synchronize'), on('on'), { do: 'preview', ref: 'refs/heads/fix', isOnce: true }],
    ['its end', pull('closed'), on('off'), { do: 'end', source: 'fix' }],
    [
      'its end, where its branch is gone (Gitea)',
      pull('closed', { ref: 'refs/pull/12/head', sha: '', label: 'fix' }),
      on('on'),
      { do: 'end', source: 'fix' },
    ],
    [
      "the end of one of the AGit flow: no branch's",
      pull('closed', { ref: 'refs/pull/12/head', label: '' }),
      on('on'),
      { do: 'end', source: '#12' },
    ],
    ['one whose commit is not told', pull('opened', { sha: '' }), on('on'), { do: 'nothing' }],
    ['a label on it', pull('labeled'), on('on'), { do: 'nothing' }],
    ['one of the branch that is deployed', pull('closed', { ref: 'main' }), on('on'), { do: 'nothing' }],
    ['a fork', pull('opened', { repo: { id: 2 } }), on('on'), { do: 'nothing' }],
    ['a fork whose repository is gone', pull('opened', { repo: null }), on('on'), { do: 'nothing' }],
    [
      'a fork, where they are allowed, with the branch name of ours',
      pull('opened', { repo: { id: 2 }, ref: 'main' }),
      on('forks'),
      { do: 'preview', source: '#12', ref: 'refs/pull/12/head' },
    ],
    [
      "one of the AGit flow, which is anybody's",
      pull('opened', { ref: 'refs/pull/12/head' }),
      on('on'),
      { do: 'nothing' },
    ],
    [
      'the same, where forks are allowed',
      pull('opened', { ref: 'refs/pull/12/head' }),
      on('forks'),
      { do: 'preview', source: '#12', ref: 'refs/pull/12/head' },
    ],
    ['a branch that is called as such a one', push('refs/pull/12/head'), on('forks'), { do: 'nothing' }],
    ['a merge request of it', merge('open', { source_branch: 'refs/heads/x' }), on('on'), { do: 'nothing' }],
    [
      'the end of a fork, allowed no more',
      pull('closed', { repo: { id: 2 } }),
      on('off'),
      { do: 'end', source: '#12' },
    ],
    ['a merge request', merge('open'), on('on'), { do: 'preview', source: 'fix', ref: 'refs/heads/fix' }],
    ['commits in it', merge('update', { oldrev: COMMIT }), on('on'), { do: 'preview' }],
    ['its new title', merge('update'), on('on'), { do: 'nothing' }],
    ['its end, without a commit', merge('close', { last_commit: null }), on('on'), { do: 'end', source: 'fix' }],
    ['its merge', merge('merge'), on('on'), { do: 'end', source: 'fix' }],
    ['one from a fork', merge('open', { source_project_id: 2 }), on('on'), { do: 'nothing' }],
  ] as const)('%s', (_, event, settings, wanted) => expect(intentOf(event, settings, 'github')).toMatchObject(wanted));

  test("a fork's merge request of GitLab is fetched from where it keeps them", () =>
    expect(intentOf(merge('open', { source_project_id: 2 }), on('forks'), 'gitlab')).toMatchObject({
      source: '#3',
      ref: 'refs/merge-requests/3/head',
    }));
});

describe('readEvent()', () => {
  test('reads removals of branches, not those of tags', () => {
    const removed = (ref_type: string) => readEvent('delete', () => ({ ref: 'fix', ref_type }));
    expect(removed('branch')).toEqual({ is: 'ref', ref: 'refs/heads/fix', commit: null });
    expect(removed('tag')).toEqual({ is: 'other' });
  });
  test('refuses commits and numbers that are none', () => {
    expect(() => readEvent('push', () => ({ ref: 'refs/heads/x', after: '--upload-pack=id' }))).toThrow();
    expect(() => merge('open', { iid: '1;id' })).toThrow();
  });
});
