/** How the CLI ends when it cannot do what was asked: one sentence on what happened, one on what to do next, and an exit code that scripts can rely on. */
import {
  CfApiError,
  JobFailedError,
  LoginError,
  NoApiError,
  UnreachableError,
  WaitedTooLongError,
} from '@cupola/client/errors';
import { causeOfRefusal, type Explanation, explainCause } from '@cupola/contract/causes';
import { nextAfterRefusal } from '@cupola/contract/refusals';
import { EXIT } from './exit-codes.ts';

/** A failure in words for the user. `next` says what to do. */
export class WordedError extends Error {
  override readonly name = 'WordedError';
  readonly exitCode: number;
  readonly next: string | null;
  /** Lines that explain it: the last log lines, say. */
  readonly details: readonly string[];
  /** What went wrong, by the table that API, CLI and docs/errors share. Null where no cause of it fits. */
  readonly explained: Explanation | null;
  constructor(
    message: string,
    {
      exitCode = EXIT.failed,
      next = null,
      details = [],
      explained = null,
    }: {
      exitCode?: number;
      next?: string | null;
      details?: readonly string[];
      explained?: Explanation | null;
    } = {},
  ) {
    super(message);
    this.exitCode = exitCode;
    this.next = next;
    this.details = details;
    this.explained = explained;
  }
}

export function usageError(message: string, next: string): WordedError {
  return new WordedError(message, { exitCode: EXIT.usage, next });
}

/** The same failure in the CLI's words; anything unknown is a bug and goes on as it is. `app`: whom the next command names. */
export function explain(error: unknown, app: string | null = null): WordedError | null {
  if (error instanceof WordedError) return error;
  if (error instanceof UnreachableError)
    return new WordedError(error.message, {
      exitCode: EXIT.unreachable,
      next: 'Is the platform up? Start yours with ./cupola up, or name another: cupola login -a URL (add --skip-ssl-validation for a certificate of your own).',
    });
  if (error instanceof LoginError)
    return new WordedError(error.message, {
      exitCode: EXIT.login,
      next:
        error.reason === 'unauthorized' ? 'Check name and password, then: cupola login' : 'Log in again: cupola login',
    });
  if (error instanceof CfApiError) return explainApiError(error, app);
  if (error instanceof NoApiError)
    return new WordedError(error.message, {
      exitCode: EXIT.unreachable,
      next: 'cupola status prints the address of your own: apps have one port (8080), the API another (8081).',
    });
  if (error instanceof JobFailedError)
    return new WordedError(error.message, { next: nextAfterRefusal(error.message, app) });
  if (error instanceof WaitedTooLongError)
    return new WordedError(error.message, {
      next: 'It may still finish: look with cupola app NAME and cupola logs NAME --recent.',
    });
  return null;
}

const FORBIDDEN = 403;
const UNAUTHENTICATED = 401;

function explainApiError(error: CfApiError, app: string | null): WordedError {
  const { status, requestId, message, title } = error;
  if (status === UNAUTHENTICATED)
    return new WordedError(message, { exitCode: EXIT.login, next: 'Log in again: cupola login' });
  if (status === FORBIDDEN)
    return new WordedError(message, {
      next: 'Your user lacks the role for it: ask a manager of the organization or space, or target another (cupola target -o ORG -s SPACE).',
    });
  if (status >= 500 && causeOfRefusal(title, message) === null)
    return new WordedError(message, {
      next: `Try again; if it stays so, tell the operator request ${requestId ?? '(no id)'}.`,
    });
  const code = causeOfRefusal(title, message);
  if (code === null) return new WordedError(message, { next: nextAfterRefusal(message, app) });
  return new WordedError(message, { explained: explainCause({ code, evidence: null }, { app: app ?? 'APP' }) });
}
