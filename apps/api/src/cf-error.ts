/**
 * The one place where failures become Cloud Foundry's errors. An unknown one is a bug: 500 without details; who asked finds it in the log by the request's
 * id. Several things wrong with one request are an entry each.
 */
import { BlobsUnavailableError } from '@cupola/blobs/errors';
import { CF_ERRORS, type CfErrorTitle, knownTitle } from '@cupola/contract/cf-errors';
import { LogsUnavailableError } from '@cupola/logs/errors';
import {
  ArchiveRefusedError,
  FencedError,
  ForbiddenError,
  InvalidRequestError,
  NotFoundError,
  StagingFailedError,
  UnauthenticatedError,
  UnavailableError,
  UnprocessableError,
  UnprocessableListError,
} from '@cupola/model/errors';
import { StoreFullError, StoreUnavailableError, UniqueViolationError } from '@cupola/store/errors';
import { UaaError } from './uaa/uaa-error.ts';

export interface CfFailure {
  status: number;
  errors: Array<{ code: number; title: string; detail: string }>;
  headers: Record<string, string>;
  /** A bug of ours: log it whole. */
  isBug: boolean;
}

/** When a client should ask again after a failure that passes (failure-rules.md 6). */
const RETRY_AFTER_SECONDS = 5;

/** A server of the operator's that we stand on does not answer. */
const UNAVAILABLE = [StoreUnavailableError, LogsUnavailableError, BlobsUnavailableError];

export function cfFailure(error: unknown): CfFailure {
  if (error instanceof UnprocessableListError) return failure('UnprocessableEntity', ...error.details);
  if (error instanceof UnprocessableError)
    return failure(knownTitle(error.title, 'UnprocessableEntity'), error.message);
  if (error instanceof InvalidRequestError) return failure(knownTitle(error.title, 'BadRequest'), error.message);
  if (error instanceof StagingFailedError) return failure(knownTitle(error.title, 'StagingError'), error.message);
  if (error instanceof NotFoundError) {
    // A path that is none, in CF's words: the cf CLI looks for them.
    const title = error.resource === UNKNOWN_REQUEST ? 'NotFound' : 'ResourceNotFound';
    return failure(title, error.resource === UNKNOWN_REQUEST ? UNKNOWN_REQUEST : error.message);
  }
  if (error instanceof ForbiddenError) return failure(knownTitle(error.title, 'NotAuthorized'), error.message);
  if (error instanceof UnauthenticatedError) return failure(error.title, error.message);
  if (error instanceof ArchiveRefusedError) return failure('AppBitsUploadInvalid', error.message);
  if (error instanceof UaaError) return { ...failure('NotAuthorized', error.message), status: error.status };
  if (error instanceof FencedError) return failure('AgentFenced', error.message);
  if (error instanceof UnavailableError) return retryLater(error.title, error.message, error.retryAfterSeconds);
  if (error instanceof StoreFullError) return retryLater('InsufficientStorage', error.message, RETRY_AFTER_SECONDS);
  if (UNAVAILABLE.some(kind => error instanceof kind))
    return retryLater('ServiceUnavailable', (error as Error).message, RETRY_AFTER_SECONDS);
  // Names are looked up before they are taken, in the same transaction; what still collides was asked for twice at once.
  if (error instanceof UniqueViolationError)
    return failure('UniquenessError', 'The same thing exists already. Look for it, or use another name.');
  return {
    status: 500,
    errors: [{ code: 10001, title: 'UnknownError', detail: 'An unknown error occurred.' }],
    headers: {},
    isBug: true,
  };
}

/** `resource` of the NotFoundError for a path that nobody serves. */
export const UNKNOWN_REQUEST = 'Unknown request';

function failure(title: CfErrorTitle, ...details: string[]): CfFailure {
  const { code, status } = CF_ERRORS[title];
  const errors = details.map(detail => ({ code, title: `CF-${title}`, detail }));
  return { status, errors, headers: {}, isBug: false };
}

function retryLater(title: CfErrorTitle, detail: string, seconds: number): CfFailure {
  return { ...failure(title, detail), headers: { 'Retry-After': String(seconds) } };
}
