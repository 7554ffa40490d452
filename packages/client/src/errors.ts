/** Everything that can go wrong between a client and the platform, with its facts as fields. Messages are for people. */

export interface CfErrorItem {
  readonly code: number;
  /** With CF's prefix: `CF-UnprocessableEntity`. */
  readonly title: string;
  readonly detail: string;
}

/** The API answered, and said no. */
export class CfApiError extends Error {
  override readonly name = 'CfApiError';
  readonly status: number;
  /** Code and title of the first error; 0 and '' when the body was not the API's. */
  readonly code: number;
  readonly title: string;
  readonly errors: readonly CfErrorItem[];
  /** X-Vcap-Request-Id, for the operator. */
  readonly requestId: string | null;
  readonly request: string;
  constructor(facts: {
    status: number;
    errors: readonly CfErrorItem[];
    requestId: string | null;
    request: string;
    body: string;
  }) {
    const { status, errors, requestId, request, body } = facts;
    super(
      errors.length > 0
        ? errors.map(({ detail }) => detail).join('\n')
        : `${request} was answered with ${status}${body === '' ? '' : `: ${body.slice(0, 300)}`}`,
    );
    this.status = status;
    this.code = errors[0]?.code ?? 0;
    this.title = errors[0]?.title ?? '';
    this.errors = errors;
    this.requestId = requestId;
    this.request = request;
  }
}

/** Nobody answered at that address, or not in HTTP. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';
  readonly origin: string;
  constructor(origin: string, cause: unknown) {
    super(`${origin} cannot be reached: ${reasonOf(cause)}`, { cause });
    this.origin = origin;
  }
}

/** Somebody answers there, who is no Cloud Foundry API. */
export class NoApiError extends Error {
  override readonly name = 'NoApiError';
  constructor(origin: string, cause: unknown) {
    super(`${origin} answers, but is not the API of a Cloud Foundry.`, { cause });
  }
}

/** The login server refused: wrong name or password, locked, or the login has ended. */
export class LoginError extends Error {
  override readonly name = 'LoginError';
  /** UAA's word: `unauthorized`, `invalid_token`, `invalid_grant`. */
  readonly reason: string;
  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** What we waited for did not come in time. */
export class WaitedTooLongError extends Error {
  override readonly name = 'WaitedTooLongError';
  constructor(what: string, limitMs: number) {
    super(`${what} was not done after ${Math.round(limitMs / 1000)} s`);
  }
}

/** A job of the API failed. */
export class JobFailedError extends Error {
  override readonly name = 'JobFailedError';
  constructor(operation: string, details: readonly string[]) {
    super(details.length > 0 ? details.join('\n') : `${operation} failed without a reason`);
  }
}

function reasonOf(cause: unknown): string {
  const { code, message } = cause as { code?: string; message?: string };
  if (code === 'ECONNREFUSED') return 'nobody listens there';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'that name is not known';
  if (
    code === 'DEPTH_ZERO_SELF_SIGNED_CERT' ||
    code === 'SELF_SIGNED_CERT_IN_CHAIN' ||
    code === 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'
  )
    return 'its certificate is not trusted here';
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'EPROTO')
    return 'it speaks no TLS there: if that is plain HTTP, write http:// before the address';
  return message ?? String(cause);
}
