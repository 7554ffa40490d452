/**
 * As whom a machine's parts speak to the API and to each other: on the API's own machine by its socket, with a certificate for those of other machines where
 * it is a cluster's; elsewhere as the member that has joined.
 */
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Address, InternalAddress } from '@cupola/certificates/members/dial';
import { type IdentitySource, identityFrom } from '@cupola/certificates/members/identity';
import { callAs, keepIdentity, keepLocalIdentity } from '@cupola/certificates/members/joining';
import type { Logger } from 'pino';

export interface Membership extends AsyncDisposable {
  internal: InternalAddress;
  /** Null: other machines know nothing of this one. */
  identity: IdentitySource | null;
}

interface Environment {
  CUPOLA_STATE: string;
  CUPOLA_CELL: string;
  CUPOLA_APIS: readonly Address[];
  CUPOLA_FORWARD_FD?: number;
}

/** In the cell's folder. */
export const IDENTITY_FILE = 'member.pem';

/** Resolves once there is an identity where there has to be one. */
export async function openMembership(env: Environment, { id, log }: { id: string; log: Logger }): Promise<Membership> {
  const file = join(env.CUPOLA_CELL, IDENTITY_FILE);
  const identity = identityFrom(file);
  const ended = new AbortController();
  const warn = (error: unknown): void =>
    log.warn({ err: error }, 'the certificate of this machine could not be renewed; this is tried again');
  const over = { [Symbol.asyncDispose]: async (): Promise<void> => ended.abort() };
  if (env.CUPOLA_APIS.length > 0) {
    const peers = { addresses: env.CUPOLA_APIS, identity };
    identity.current(); // What `join` has left: without it nothing can be done.
    void keepIdentity({ file, post: callAs(peers), now: Date.now, warn }, ended.signal);
    return { internal: peers, identity, ...over };
  }
  const socketPath = join(env.CUPOLA_STATE, 'internal.sock');
  if (env.CUPOLA_FORWARD_FD === undefined) return { internal: { socketPath }, identity: null, ...over };
  const member = { socketPath, id, hostName: hostname(), roles: ['agent', 'stager'] as const };
  await keepLocalIdentity({ file, ...member, now: Date.now, warn }, ended.signal);
  return { internal: { socketPath }, identity, ...over };
}
