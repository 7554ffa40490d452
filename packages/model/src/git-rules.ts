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
  /** Updates of other branches, each deployed as a preview of its own. */
  readonly previews: readonly RefUpdate[];
  /** Branches that are removed, and their previews with them. */
  readonly ended: readonly string[];
  /** What to tell of the others, and of a push that deploys nothing. */
  readonly notes: readonly string[];
  /** Why the push is refused, with what to do; null: it is not. */
  readonly refusal: string | null;
}

/** What an app does with a push: which branch it deploys, and whether others become previews. */
export interface PushRules {
  readonly branch: string | null;
  readonly hasPreviews: boolean;
}

/** What a push of these refs means to an app. */
export function planPush(app: string, { branch, hasPreviews }: PushRules, updates: readonly RefUpdate[]): PushPlan {
  const notes: string[] = [];
  const previews: RefUpdate[] = [];
  const ended: string[] = [];
  let deploy: RefUpdate | null = null;
  const refused = (refusal: string): PushPlan => ({ deploy: null, previews: [], ended: [], notes: [], refusal });
  for (const update of updates) {
    const { ref, after } = update;
    const name = ref.replace(/^refs\/(heads|tags)\//, '');
    if (ref === `${HEADS}${branch}`) {
      if (after === null)
        return refused(
          `${branch} is the branch that ${app} runs: it is not removed. Deploy another first (cupola git:config ${app} --branch NAME), or remove the app: cupola delete ${app}`,
        );
      deploy = update;
    } else if (ref.startsWith(HEADS)) {
      if (after === null) ended.push(name);
      else if (hasPreviews && isBranchName(name)) previews.push(update);
      notes.push(...noteOf(app, { branch, hasPreviews }, { name, isRemoved: after === null }));
    } else if (ref.startsWith('refs/tags/'))
      notes.push(after === null ? `Tag ${name} is removed here.` : `Tag ${name} is kept here; tags deploy nothing.`);
    else return refused(`${ref} is neither a branch nor a tag. Push a branch: git push REMOTE ${branch ?? 'main'}`);
  }
  return { deploy, previews, ended, notes, refusal: null };
}

/** What to tell of a branch that the app does not run. */
function noteOf(
  app: string,
  { branch, hasPreviews }: PushRules,
  { name, isRemoved }: { name: string; isRemoved: boolean },
): string[] {
  if (isRemoved) return [`${name} is removed here.`];
  if (!hasPreviews)
    return [
      `${name} is kept here, and not deployed: ${app} deploys ${branch ?? 'no branch yet'}. Deploy this one: git push REMOTE ${name}:${branch ?? 'main'}, or always: cupola git:config ${app} --branch ${name}`,
    ];
  if (isBranchName(name)) return [];
  return [
    `${name} is kept here, and has no preview: its name has characters that no host has. Name it with letters, digits, ".", "_", "-" and "/".`,
  ];
}
