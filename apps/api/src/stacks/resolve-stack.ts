/** The stack that a user names, and whether it may be used (CF: stack_state_validator.rb). */
import { UnprocessableError } from '@cupola/model/errors';
import { HOST_STACK } from '@cupola/model/host-stack';
import type { Database, StacksTable } from '@cupola/store/schema';
import type { Kysely, Selectable } from 'kysely';

export type StackRow = Selectable<StacksTable>;

/** Stacks of other platforms, taken for ours where nobody has added them, so that their manifests work. */
const STACK_ALIASES = ['cflinuxfs3', 'cflinuxfs4', 'cflinuxfs5'];

export interface ResolvedStack {
  stack: string;
  /** Told to the user. */
  warnings: string[];
}

/** None named: the machine's own. @throws UnprocessableError for a stack that is not there, or whose state forbids new apps. */
export async function resolveStack(db: Kysely<Database>, name: string | null | undefined): Promise<ResolvedStack> {
  const asked = name ?? HOST_STACK;
  const rows = await db.selectFrom('stacks').selectAll().where('name', 'in', [asked, HOST_STACK]).execute();
  const named = rows.find(row => row.name === asked);
  if (named !== undefined) return { stack: asked, warnings: stateWarnings(named, 'new') };
  const host = rows.find(row => row.name === HOST_STACK);
  if (STACK_ALIASES.includes(asked) && host !== undefined)
    return {
      stack: HOST_STACK,
      warnings: [
        `Stack '${asked}' is not installed here; the app is staged and run on stack '${HOST_STACK}' instead.`,
        ...stateWarnings(host, 'new'),
      ],
    };
  throw new UnprocessableError(
    `Stack must be an existing stack: there is no '${asked}'. Use '${HOST_STACK}' or leave it out, or have the operator add it: ./cupola stack add`,
  );
}

/** What is said before an app is staged again on the stack that it has. @throws UnprocessableError where its state forbids it. */
export async function restageWarnings(db: Kysely<Database>, name: string): Promise<string[]> {
  const row = await db.selectFrom('stacks').selectAll().where('name', '=', name).executeTakeFirst();
  return row === undefined ? [] : stateWarnings(row, 'again');
}

function stateWarnings({ name, state, state_reason: reason }: StackRow, use: 'new' | 'again'): string[] {
  const why = reason === null || reason === '' ? '' : ` ${reason}`;
  if (state === 'ACTIVE') return [];
  if (state === 'DISABLED' || (state === 'RESTRICTED' && use === 'new'))
    throw new UnprocessableError(
      `ERROR: Staging failed. The stack '${name}' is '${state}' and cannot be used for staging.${why}`,
    );
  return [`WARNING: The stack '${name}' is '${state}' and will be removed in the future.${why}`];
}
