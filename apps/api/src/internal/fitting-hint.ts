/** A build goes to a machine that has its stack. The queue knows nothing of stacks: a stager that lacks one gives the hint back, and lets the others look first. */
import type { BuildHint } from '@cupola/queue/build-queue';
import type { ApiDeps } from '../deps.ts';

/** Ours: its others may all be busy; where none of them takes it, whoever gets it says that it cannot build it. */
const LEFT_TO_OTHERS_MS = 60_000;
/** Before a stager that has given one back looks again: the others wait for offers, and are faster. */
const GIVEN_BACK_MS = 1_000;

/** Whether a stager with these stacks is to leave a build to others: they have its stack, and have had little time. `stacks` empty: it does not say which it has. */
export async function isForOthers(
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

/** Resolves when this stager may look again. Lost in between, the hint is offered anew by the outbox. */
export async function giveBack({ queue }: Pick<ApiDeps, 'queue'>, hint: BuildHint, over: Promise<void>): Promise<void> {
  await queue.done(hint.buildGuid);
  await queue.offer(hint);
  const paused = Promise.withResolvers<void>();
  const timer = setTimeout(paused.resolve, GIVEN_BACK_MS);
  await Promise.race([paused.promise, over]);
  clearTimeout(timer);
}
