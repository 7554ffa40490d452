/** OAuth clients that log in by a secret of their own, and the taking back of their long-lived tokens. For admins. */
import { ForbiddenError } from '@cupola/model/errors';
import { TOKEN_LIMITS } from '@cupola/model/limits';
import type { OauthClientsTable } from '@cupola/store/schema';
import type { Selectable } from 'kysely';
import { z } from 'zod';
import type { Actor } from '../access/actor.ts';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { hashPassword } from './passwords.ts';
import { revokeAccess } from './revocations.ts';
import { UaaError } from './uaa-error.ts';

const GRANTS = ['client_credentials', 'password', 'refresh_token'] as const;
/** The client of every cf CLI. */
const BUILT_IN = 'cf';

const createClient = z.object({
  client_id: z.string().regex(/^[\w.-]{1,100}$/, { error: 'client_id must be letters, digits, dots and dashes' }),
  client_secret: z.string().max(255).nullish(),
  authorized_grant_types: z.array(z.enum(GRANTS)).default(['client_credentials']),
  authorities: z.array(z.string().regex(/^[\w.-]{1,100}$/)).default([]),
});

function requireClients(actor: Actor): void {
  if (!actor.isAdmin) throw new ForbiddenError();
}

function present(client: Selectable<OauthClientsTable>) {
  return {
    client_id: client.client_id,
    authorized_grant_types: client.grant_types.split(','),
    authorities: client.authorities.split(','),
    scope: ['uaa.none'],
    resource_ids: ['none'],
    autoapprove: [],
    lastModified: client.created_at,
  };
}

const notThere = (id: string): UaaError => new UaaError(404, 'not_found', `No client with requested id: ${id}`);

export const clientEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/oauth/clients/:id',
    failures: 'uaa',
    summary: 'One OAuth client',
    handle: async ({ store }, { actor, params }) => {
      requireClients(actor);
      const id = params.id ?? '';
      const client = await store.read
        .selectFrom('oauth_clients')
        .selectAll()
        .where('client_id', '=', id)
        .executeTakeFirst();
      if (client === undefined) throw notThere(id);
      return { status: 200, body: present(client) };
    },
  }),
  endpoint({
    method: 'POST',
    path: '/oauth/clients',
    failures: 'uaa',
    summary: 'Make an OAuth client',
    bodySchema: createClient,
    handle: async ({ store }, { actor, body }) => {
      requireClients(actor);
      const secret = body.client_secret ?? '';
      if (secret === '') throw new UaaError(400, 'invalid_client', 'Client secret is required for client_credentials');
      const hash = await hashPassword(secret);
      const client = await store.note(async ({ db, now }) => {
        const row = {
          client_id: body.client_id,
          secret_hash: hash,
          grant_types: body.authorized_grant_types.join(','),
          authorities: body.authorities.join(','),
          created_at: now,
        };
        const made = await db
          .insertInto('oauth_clients')
          .values(row)
          .onConflict(conflict => conflict.column('client_id').doNothing())
          .returning('client_id')
          .executeTakeFirst();
        if (made === undefined)
          throw new UaaError(409, 'client_already_exists', `Client already exists: ${body.client_id}`);
        return row;
      });
      return { status: 201, body: present(client) };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: '/oauth/clients/:id',
    failures: 'uaa',
    summary: 'Delete an OAuth client; its tokens count no longer',
    handle: async ({ store }, { actor, params }) => {
      requireClients(actor);
      const id = params.id ?? '';
      if (id === BUILT_IN) throw new UaaError(400, 'invalid_client', 'The client of the cf CLI cannot be deleted.');
      const client = await store.note(({ db }) =>
        db.deleteFrom('oauth_clients').where('client_id', '=', id).returningAll().executeTakeFirst(),
      );
      if (client === undefined) throw notThere(id);
      return { status: 200, body: present(client) };
    },
  }),
  endpoint({
    method: 'DELETE',
    path: '/oauth/token/revoke/:jti',
    failures: 'uaa',
    summary: 'Log out: this access token counts no longer',
    handle: async ({ store }, { actor, params }) => {
      // One's own alone: the id of another's token proves nothing.
      if (actor.tokenId !== params.jti) throw new ForbiddenError();
      const token = { jti: actor.tokenId, clientId: actor.guid, userGuid: actor.guid };
      await store.note(write => revokeAccess(write, token, TOKEN_LIMITS.clientAccessSeconds * 1_000));
      return { status: 200, body: {} };
    },
  }),
];
