/** What a push by git does to an app, as its developers set it. */

/** A build or a start that fails: the push is refused, and git's branch stays as it was; or it is told, and the branch moves all the same. */
export const GIT_FAILURE_RULES = ['refuse', 'report'] as const;
export type GitFailureRule = (typeof GIT_FAILURE_RULES)[number];

/** A tree that names other repositories: refused, or their folders stay empty. They are never fetched: their addresses are the pusher's word. */
export const GIT_SUBMODULE_RULES = ['refuse', 'skip'] as const;
export type GitSubmoduleRule = (typeof GIT_SUBMODULE_RULES)[number];

export interface GitSettings {
  /** That is deployed; null: the one that the first push names. */
  readonly branch: string | null;
  readonly onFailure: GitFailureRule;
  readonly submodules: GitSubmoduleRule;
}

export const GIT_DEFAULTS: GitSettings = { branch: null, onFailure: 'refuse', submodules: 'refuse' };

const BRANCH_MAX = 200;

/** A subset of what git takes (git-check-ref-format): what needs no quoting anywhere, and is never an option. */
export function isBranchName(name: string): boolean {
  return (
    name.length <= BRANCH_MAX &&
    /^[A-Za-z0-9_][A-Za-z0-9._/-]*$/.test(name) &&
    !name.includes('..') &&
    name
      .split('/')
      .every(part => part !== '' && !part.startsWith('.') && !part.endsWith('.') && !part.endsWith('.lock'))
  );
}

export interface RefUpdate {
  /** `refs/heads/main`. */
  readonly ref: string;
  /** Commits; null: it was not there, or is removed. */
  readonly before: string | null;
  readonly after: string | null;
}

const HEADS = 'refs/heads/';
/** What people call the branch that counts, in the order in which it is looked for. */
const USUAL = ['main', 'master'];

/** Which branch an app deploys: the one that was set, else that of the first push: `main` or `master` if it is among them, else what it names first. */
export function deployedBranch(settings: Pick<GitSettings, 'branch'>, updates: readonly RefUpdate[]): string | null {
  if (settings.branch !== null) return settings.branch;
  const pushed = updates
    .filter(({ ref, after }) => ref.startsWith(HEADS) && after !== null)
    .map(({ ref }) => ref.slice(HEADS.length));
  return USUAL.find(name => pushed.includes(name)) ?? pushed[0] ?? null;
}

export interface PushPlan {
  /** The update that is deployed; null: nothing is. */
  readonly deploy: RefUpdate | null;
  /** What to tell of the others, and of a push that deploys nothing. */
  readonly notes: readonly string[];
  /** Why the push is refused, with what to do; null: it is not. */
  readonly refusal: string | null;
}

/** What a push of these refs means to an app whose branch is `branch`. */
export function planPush(app: string, branch: string | null, updates: readonly RefUpdate[]): PushPlan {
  const notes: string[] = [];
  let deploy: RefUpdate | null = null;
  for (const update of updates) {
    const { ref, after } = update;
    const name = ref.replace(/^refs\/(heads|tags)\//, '');
    if (ref === `${HEADS}${branch}`) {
      if (after === null)
        return {
          deploy: null,
          notes: [],
          refusal: `${branch} is the branch that ${app} runs: it is not removed. Deploy another first (cupola git:config ${app} --branch NAME), or remove the app: cupola delete ${app}`,
        };
      deploy = update;
    } else if (ref.startsWith(HEADS))
      notes.push(
        after === null
          ? `${name} is removed here.`
          : `${name} is kept here, and not deployed: ${app} deploys ${branch ?? 'no branch yet'}. Deploy this one: git push REMOTE ${name}:${branch ?? 'main'}, or always: cupola git:config ${app} --branch ${name}`,
      );
    else if (ref.startsWith('refs/tags/'))
      notes.push(after === null ? `Tag ${name} is removed here.` : `Tag ${name} is kept here; tags deploy nothing.`);
    else
      return {
        deploy: null,
        notes: [],
        refusal: `${ref} is neither a branch nor a tag. Push a branch: git push REMOTE ${branch ?? 'main'}`,
      };
  }
  return { deploy, notes, refusal: null };
}
