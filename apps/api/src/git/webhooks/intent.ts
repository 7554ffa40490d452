/** What an event of a forge means to an app: read by what all forges tell alike, decided by what the developer has set. Addresses in an event count for nothing. */
import type { Forge } from '@cupola/contract/git-remote';
import { forgeDelete, forgePull, forgePush, gitlabMerge } from '@cupola/contract/v3/git-webhook';
import { isBranchName } from '@cupola/model/git-rules';
import { type PreviewRule, pullSource } from '@cupola/model/previews';

export type ForgeEvent =
  | { readonly is: 'other' }
  /** `commit` null: it was removed there. */
  | { readonly is: 'ref'; readonly ref: string; readonly commit: string | null }
  | {
      readonly is: 'pull';
      readonly number: number;
      /** Where its commits are, in the fork or here. */
      readonly branch: string;
      readonly commit: string;
      readonly isFork: boolean;
      readonly change: 'commits' | 'closed' | 'other';
    };

export type Intent =
  | { readonly do: 'nothing'; readonly says: string }
  | { readonly do: 'deploy'; readonly commit: string }
  /** `isOnce`: not if that commit is there already, since a push has told of it too. */
  | {
      readonly do: 'preview';
      readonly source: string;
      readonly ref: string;
      readonly commit: string;
      readonly isOnce: boolean;
    }
  /** `says`: where there is no such preview. */
  | { readonly do: 'end'; readonly source: string; readonly says: string };

const NULL = /^0+$/;
const REFS = 'refs/';
const HEADS = `${REFS}heads/`;

/** @throws when it is none of its kind. */
export function readEvent(event: string, payload: () => unknown): ForgeEvent {
  if (event === 'push') {
    const { ref, after } = forgePush.parse(payload());
    return { is: 'ref', ref, commit: NULL.test(after) ? null : after };
  }
  if (event === 'delete') {
    const { ref, ref_type } = forgeDelete.parse(payload());
    return ref_type === 'branch' ? { is: 'ref', ref: `${HEADS}${ref.replace(HEADS, '')}`, commit: null } : OTHER;
  }
  if (event === 'pull_request') return readPull(payload());
  if (event === 'merge request') return readMerge(payload());
  return OTHER;
}
const OTHER = { is: 'other' } as const;

const MOVED = ['opened', 'reopened', 'synchronize', 'synchronized'];

function readPull(payload: unknown): ForgeEvent {
  const { action, number, pull_request } = forgePull.parse(payload);
  const { head, base } = pull_request;
  // What is not told is a stranger's: forks that are gone have no repository. Nor is one that was made by a push to `refs/for/` (Gitea's and Forgejo's AGit
  // flow) a branch of ours: who may read the repository may make it, and the head is told as `refs/pull/N/head` of the base's own repository.
  const isOurs = head.repo != null && head.repo.id === base.repo?.id;
  const change = action === 'closed' ? 'closed' : MOVED.includes(action) && head.sha !== '' ? 'commits' : 'other';
  // Of a branch of ours that is gone when its request is closed, Gitea and Forgejo tell that very ref, and its name beside it.
  const gone = change === 'closed' && isOurs && head.ref.startsWith(REFS) ? (head.label ?? '') : '';
  const branch = gone === '' ? head.ref : gone;
  return { is: 'pull', number, branch, commit: head.sha, isFork: !isOurs || branch.startsWith(REFS), change };
}

function readMerge(payload: unknown): ForgeEvent {
  const { iid, action, oldrev, source_branch, source_project_id, target_project_id, last_commit } =
    gitlabMerge.parse(payload).object_attributes;
  const isFork = source_project_id == null || source_project_id !== target_project_id;
  const isMoved = action === 'open' || action === 'reopen' || (action === 'update' && (oldrev ?? '') !== '');
  const hasCommits = isMoved && last_commit != null;
  const change = hasCommits ? 'commits' : action === 'close' || action === 'merge' ? 'closed' : 'other';
  return { is: 'pull', number: iid, branch: source_branch, commit: last_commit?.id ?? '', isFork, change };
}

export interface Settings {
  readonly app: string;
  /** That the webhook deploys. */
  readonly branch: string;
  readonly previews: PreviewRule;
}

export function intentOf(event: ForgeEvent, settings: Settings, forge: Forge): Intent {
  if (event.is === 'other') return { do: 'nothing', says: 'Heard. That event deploys nothing.' };
  return event.is === 'ref' ? ofRef(event, settings) : ofPull(event, settings, forge);
}

function ofRef({ ref, commit }: Extract<ForgeEvent, { is: 'ref' }>, { branch, previews }: Settings): Intent {
  const name = ref.replace(/^refs\/heads\//, '');
  const idle = `${name} deploys nothing: ${branch} does.`;
  if (!ref.startsWith(HEADS)) return { do: 'nothing', says: idle };
  if (name === branch)
    return commit === null
      ? { do: 'nothing', says: `${name} was removed there; what runs goes on.` }
      : { do: 'deploy', commit };
  if (commit === null) return { do: 'end', source: name, says: idle };
  if (previews === 'off') return { do: 'nothing', says: idle };
  if (!hasPreview(name)) return { do: 'nothing', says: noPreview(name) };
  return { do: 'preview', source: name, ref, commit, isOnce: false };
}

/** A branch that is called as a ref of another kind would be taken for one. */
function hasPreview(branch: string): boolean {
  return isBranchName(branch) && !branch.startsWith(REFS);
}

function noPreview(branch: string): string {
  return `${branch} has no preview: name it with letters, digits, ".", "_", "-" and "/", and not ${REFS}.`;
}

function ofPull(
  { number, branch, commit, isFork, change }: Extract<ForgeEvent, { is: 'pull' }>,
  { app, branch: deployed, previews }: Settings,
  forge: Forge,
): Intent {
  const source = isFork ? pullSource(number) : branch;
  if (change === 'other' || source === deployed)
    return { do: 'nothing', says: `Heard. That event of #${number} deploys nothing.` };
  if (change === 'closed') return { do: 'end', source, says: `#${number} has no preview.` };
  if (previews === 'off' || (isFork && previews !== 'forks'))
    return {
      do: 'nothing',
      says: isFork
        ? `#${number} comes from a fork, and deploys nothing. Allow it: cupola git:config ${app} --previews forks`
        : `#${number} deploys nothing. Previews: cupola git:config ${app} --previews on`,
    };
  if (!isFork)
    return hasPreview(branch)
      ? { do: 'preview', source, ref: `${HEADS}${branch}`, commit, isOnce: true }
      : { do: 'nothing', says: noPreview(branch) };
  const ref = forge === 'gitlab' ? `refs/merge-requests/${number}/head` : `refs/pull/${number}/head`;
  return { do: 'preview', source, ref, commit, isOnce: true };
}
