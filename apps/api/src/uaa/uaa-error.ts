/** Failures in UAA's form. The cf CLI looks at the status and at `error`. */
import { ForbiddenError, InvalidRequestError, NotFoundError, UnauthenticatedError } from '@cupola/model/errors';
import type { CfFailure } from '../cf-error.ts';

/** A refusal in UAA's own words: `unauthorized`, `invalid_client`, `invalid_scim_resource`. */
export class UaaError extends Error {
  override readonly name = 'UaaError';
  readonly status: number;
  readonly error: string;
  constructor(status: number, error: string, description: string) {
    super(description);
    this.status = status;
    this.error = error;
  }
}

export function uaaFailureBody(
  error: unknown,
  failure: CfFailure,
): { status: number; body: { error: string; error_description: string } } {
  const text = (status: number, name: string, description: string) => ({
    status,
    body: { error: name, error_description: description },
  });
  if (error instanceof UaaError) return text(error.status, error.error, error.message);
  if (error instanceof UnauthenticatedError)
    return error.title === 'InvalidAuthToken'
      ? text(401, 'invalid_token', error.message)
      : text(401, 'unauthorized', 'Full authentication is required to access this resource');
  if (error instanceof ForbiddenError) return text(403, 'insufficient_scope', 'Insufficient scope for this resource');
  if (error instanceof NotFoundError) return text(404, 'scim_resource_not_found', error.message);
  if (error instanceof InvalidRequestError || failure.status === 422)
    return text(400, 'invalid_request', failure.errors[0]?.detail ?? '');
  return text(failure.status, 'server_error', failure.errors[0]?.detail ?? '');
}
