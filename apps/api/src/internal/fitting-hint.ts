/** A build goes to a machine that has its stack. The queue knows nothing of stacks: a stager that lacks one gives the hint back, and lets the others look first. */
import type { BuildHint } from '@cupola/queue/build-queue';
import type { ApiDeps } from '../deps.ts';

/** Ours: the others may all be busy with builds of minutes; where none of them takes it even then, whoever gets it says that it cannot build it. */
const LEFT_TO_OTHERS_MS = 600_000;
/** Before a stager that has given some back looks again: the others wait for offers, and are faster. Not woken by offers, or two that lack a stack would wake each other. */
export const GIVEN_BACK_MS = 1_000;
/** Of one look; they are out of others' sight for as long as it takes. */
const PASSED_MAX = 20;

/** Whether a stager with these stacks is to leave a build to others: they have its stack, and have had little time. `stacks` empty: it does not say which it has. */
async function isForOthers(
  { store, now }: Pick<ApiDeps, 'store' | 'now'>,
  buildGuid: string,
  stacks: readonly string[],
): Promise<boolean> {
  if (stacks.length === 0) return false;
  const build = await store.read
    .selectFrom('builds')
    .select(['stack', 'created_at'])
    .where('guid', '=', buildGuid)
    .executeTakeFirst();
  if (build === undefined || stacks.includes(build.stack) || now() - build.created_at > LEFT_TO_OTHERS_MS) return false;
  const cells = await store.read.selectFrom('cells').select('stacks_json').where('state', '=', 'ACTIVE').execute();
  return cells.some(({ stacks_json }) =>
    (JSON.parse(stacks_json) as { name: string }[]).some(({ name }) => name === build.stack),
  );
}

interface Asking {
  stager: string;
  /** Empty: it does not say which it has. */
  stacks: readonly string[];
  leaseMs: number;
}

/** The most urgent hint that this stager is to have; null when there is none. `passed`: those before it that are others', still leased to this one: to be given back. */
export async function nextFitting(
  deps: Pick<ApiDeps, 'store' | 'queue' | 'now'>,
  { stager, stacks, leaseMs }: Asking,
): Promise<{ hint: BuildHint | null; passed: BuildHint[] }> {
  const passed: BuildHint[] = [];
  while (passed.length < PASSED_MAX) {
    const hint = await deps.queue.next(stager, leaseMs);
    if (hint === null || !(await isForOthers(deps, hint.buildGuid, stacks))) return { hint, passed };
    passed.push(hint);
  }
  return { hint: null, passed };
}

/** Lost in between, a hint is offered anew by the outbox. */
export async function giveBack({ queue }: Pick<ApiDeps, 'queue'>, hints: readonly BuildHint[]): Promise<void> {
  for (const hint of hints) {
    await queue.done(hint.buildGuid);
    await queue.offer(hint);
  }
}
