/** From an Authorization header to the actor, with every role, in one query. Rights are read anew for each request: taking one away counts at once. */
import { UnauthenticatedError } from '@cupola/model/errors';
import { TOKEN_LIMITS } from '@cupola/model/limits';
import type { RoleType } from '@cupola/model/states';
import type { Database } from '@cupola/store/schema';
import { type CompiledQuery, type Kysely, sql } from 'kysely';
import type { Actor } from '../access/actor.ts';
import type { Authenticate } from '../http/server.ts';
import { inChunks } from '../internal/views/in-chunks.ts';
import { revocationKey } from './revocations.ts';
import type { TokenClaims, Tokens } from './tokens.ts';

const BEARER = /^bearer\s+(\S+)$/i;
/** The authority that makes a client an admin. */
const ADMIN = 'cloud_controller.admin';

export function createAuthenticate(read: Kysely<Database>, tokens: Tokens): Authenticate {
  // Asked for each request: making the statement anew would take longer than running it.
  const ofUser = usersQuery(read).compile();
  return async (authorization, options) => {
    if (authorization === undefined || authorization.trim() === '') throw new UnauthenticatedError('NotAuthenticated');
    const token = BEARER.exec(authorization)?.[1];
    if (token === undefined) throw new UnauthenticatedError('InvalidAuthToken');
    const claims = await tokens.verify(token, options);
    const actor = claims.user_id === undefined ? await clientOf(read, claims) : await userOf(read, ofUser, claims);
    if (actor === null) throw new UnauthenticatedError('InvalidAuthToken');
    return actor;
  };
}

/** Somebody whose password was right. Null: no user of that guid. */
export function actorOfUser(read: Kysely<Database>, userGuid: string): Promise<Actor | null> {
  return userOf(read, usersQuery(read).compile(), {
    user_id: userGuid,
    jti: '',
    client_id: '',
    exp: Number.POSITIVE_INFINITY,
  });
}

/** These actors with the rights that they have now, in as few queries as go; without those who may not act any more: deleted, or their token taken back. */
export async function rereadActors(read: Kysely<Database>, actors: readonly Actor[]): Promise<Map<Actor, Actor>> {
  const fresh = new Map<Actor, Actor>();
  const users = actors.filter(({ kind }) => kind === 'user');
  const guids = [...new Set(users.map(({ guid }) => guid))];
  const rows = Map.groupBy(
    await inChunks(guids, some => usersQuery(read, some).select('users.guid').execute()),
    ({ guid }) => guid,
  );
  for (const actor of users) {
    const mine = rows.get(actor.guid);
    if (mine?.[0] === undefined) continue;
    fresh.set(actor, { ...actor, isAdmin: mine[0].is_admin === 1, ...rolesOf(mine) });
  }
  for (const actor of actors) {
    if (actor.kind !== 'client') continue;
    const now = await clientOf(read, { client_id: actor.guid, jti: actor.tokenId, exp: 0 });
    if (now !== null) fresh.set(actor, { ...now, endsAtMs: actor.endsAtMs });
  }
  return fresh;
}

function usersQuery(read: Kysely<Database>, guids: readonly string[] = ['']) {
  return read
    .selectFrom('users')
    .leftJoin('roles', 'roles.user_guid', 'users.guid')
    .leftJoin('spaces', 'spaces.guid', 'roles.space_guid')
    .leftJoin('organizations', join =>
      join.on('organizations.guid', '=', sql<string>`coalesce(roles.organization_guid, spaces.organization_guid)`),
    )
    .where('users.guid', 'in', guids)
    .select([
      'users.username',
      'users.origin',
      'users.is_admin',
      'roles.type',
      'roles.space_guid',
      'organizations.guid as organization_guid',
      'organizations.suspended',
    ]);
}

async function userOf(
  read: Kysely<Database>,
  query: CompiledQuery<RoleRow & UserRow>,
  claims: TokenClaims,
): Promise<Actor | null> {
  // The guid is its only parameter.
  const { rows } = await read.executeQuery<RoleRow & UserRow>({ ...query, parameters: [claims.user_id ?? ''] });
  const first = rows[0];
  if (first === undefined) return null;
  return {
    kind: 'user',
    guid: claims.user_id ?? '',
    name: first.username,
    origin: first.origin,
    isAdmin: first.is_admin === 1,
    tokenId: claims.jti,
    endsAtMs: endOf(claims),
    ...rolesOf(rows),
  };
}

async function clientOf(read: Kysely<Database>, claims: TokenClaims): Promise<Actor | null> {
  const rows = await read
    .selectFrom('oauth_clients')
    .leftJoin('refresh_tokens', join => join.on('refresh_tokens.token_hash', '=', revocationKey(claims.jti)))
    .leftJoin('roles', 'roles.user_guid', 'oauth_clients.client_id')
    .leftJoin('spaces', 'spaces.guid', 'roles.space_guid')
    .leftJoin('organizations', join =>
      join.on('organizations.guid', '=', sql<string>`coalesce(roles.organization_guid, spaces.organization_guid)`),
    )
    .where('oauth_clients.client_id', '=', claims.client_id)
    .select([
      'oauth_clients.authorities',
      'refresh_tokens.revoked',
      'roles.type',
      'roles.space_guid',
      'organizations.guid as organization_guid',
      'organizations.suspended',
    ])
    .execute();
  const first = rows[0];
  if (first === undefined || first.revoked === 1) return null;
  return {
    kind: 'client',
    guid: claims.client_id,
    name: claims.client_id,
    origin: '',
    isAdmin: first.authorities.split(',').includes(ADMIN),
    tokenId: claims.jti,
    endsAtMs: endOf(claims),
    ...rolesOf(rows),
  };
}

/** As long as requests with it are taken. */
function endOf({ exp }: TokenClaims): number {
  return (exp + TOKEN_LIMITS.clockLeewaySeconds) * 1_000;
}

interface UserRow {
  username: string;
  origin: string;
  is_admin: 0 | 1;
}
interface RoleRow {
  type: RoleType | null;
  space_guid: string | null;
  organization_guid: string | null;
  suspended: 0 | 1 | null;
}

function rolesOf(rows: readonly RoleRow[]): Pick<Actor, 'roles' | 'suspendedOrganizationGuids'> {
  const roles = rows.flatMap(({ type, space_guid, organization_guid }) =>
    type === null ? [] : [{ type, organizationGuid: organization_guid, spaceGuid: space_guid }],
  );
  const suspended = rows.flatMap(row =>
    row.suspended === 1 && row.organization_guid !== null ? [row.organization_guid] : [],
  );
  return { roles, suspendedOrganizationGuids: [...new Set(suspended)] };
}
