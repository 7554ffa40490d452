/**
 * Expected failures, with their facts as fields. Ports and handlers throw them; `apps/api/src/cf-error.ts` alone maps them to Cloud Foundry's codes.
 * The message is for people: what happened, then what to do next.
 */
import { sentence } from './sentence.ts';

/** Absent, or not visible to the asker: both get the same words. `resource` is CF's name with a capital: `App`, `Droplet`, `Organization`. */
export class NotFoundError extends Error {
  override readonly name = 'NotFoundError';
  readonly resource: string;
  constructor(resource: string) {
    super(`${resource} not found`);
    this.resource = resource;
  }
}

/** Well-formed, but its meaning cannot be accepted (CF 422, code 10008, or the code given). */
export class UnprocessableError extends Error {
  override readonly name = 'UnprocessableError';
  /** A CF error title without `CF-` where the general `UnprocessableEntity` is not meant: `StagingInProgress`. */
  readonly title: string;
  constructor(message: string, title = 'UnprocessableEntity') {
    super(message);
    this.title = title;
  }
}

/** Several things are wrong with one request, and all are said: CF's `errors` list has an entry for each (422, code 10008). Never empty. */
export class UnprocessableListError extends Error {
  override readonly name = 'UnprocessableListError';
  readonly details: readonly string[];
  constructor(details: readonly string[]) {
    super(details.join(', '));
    this.details = details;
  }
}

/** The request itself is wrong (CF 400). `title` is a CF error title without `CF-`: `BadQueryParameter`, `MessageParseError`, `AppBitsUploadInvalid`. */
export class InvalidRequestError extends Error {
  override readonly name = 'InvalidRequestError';
  readonly title: string;
  constructor(message: string, title = 'BadRequest') {
    super(message);
    this.title = title;
  }
}

/** Visible, but not allowed (CF 403). `title` where CF has one of its own: `OrgSuspended`, `FeatureDisabled`. */
export class ForbiddenError extends Error {
  override readonly name = 'ForbiddenError';
  readonly title: string;
  constructor(message = 'You are not authorized to perform the requested action', title = 'NotAuthorized') {
    super(message);
    this.title = title;
  }
}

/** No token, or one that does not count. `title` is `NotAuthenticated` or `InvalidAuthToken`. */
export class UnauthenticatedError extends Error {
  override readonly name = 'UnauthenticatedError';
  readonly title: 'NotAuthenticated' | 'InvalidAuthToken';
  constructor(title: 'NotAuthenticated' | 'InvalidAuthToken') {
    super(title === 'NotAuthenticated' ? 'Authentication error' : 'Invalid Auth Token');
    this.title = title;
  }
}

/** Something that passes by itself: store or disk away. Answered 503 with Retry-After. `title` is `ServiceUnavailable` or `InsufficientStorage`. */
export class UnavailableError extends Error {
  override readonly name = 'UnavailableError';
  readonly title: 'ServiceUnavailable' | 'InsufficientStorage';
  readonly retryAfterSeconds: number;
  constructor(
    message: string,
    title: 'ServiceUnavailable' | 'InsufficientStorage' = 'ServiceUnavailable',
    retryAfterSeconds = 5,
  ) {
    super(message);
    this.title = title;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** An archive breaks a rule: names the entry and the rule, so that its owner can mend it (CF 400, code 160001). */
export class ArchiveRefusedError extends Error {
  override readonly name = 'ArchiveRefusedError';
  readonly entry: string;
  readonly rule: string;
  constructor(entry: string, rule: string) {
    super(sentence(`The archive was refused: entry "${entry}" ${rule}`));
    this.entry = entry;
    this.rule = rule;
  }
}

/** The caller's fence, session or lease is not the newest: another one took over. The work must stop without a trace. */
export class FencedError extends Error {
  override readonly name = 'FencedError';
  constructor(what: string) {
    super(`${what} has been taken over by another process`);
  }
}

/** A staging run ended because of what was pushed, not because of us. `title`: `NoAppDetectedError`, `BuildpackCompileFailed`, `StagingError` ... */
export class StagingFailedError extends Error {
  override readonly name = 'StagingFailedError';
  readonly title: string;
  constructor(title: string, message: string) {
    super(message);
    this.title = title;
  }
}

/** Marks a branch that the types prove impossible. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
