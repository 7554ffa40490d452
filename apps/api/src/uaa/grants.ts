/** `POST /oauth/token`: the three grants that CF's clients use without a browser. What UAA answers, in its words; the cf CLI reads some of them. */
import { TOKEN_LIMITS } from '@cupola/model/limits';
import type { OauthClientsTable, UsersTable } from '@cupola/store/schema';
import type { Selectable } from 'kysely';
import type { ApiDeps } from '../deps.ts';
import { badCredentials, checkLogin } from './check-login.ts';
import { takePasscode } from './passcodes.ts';
import { isPassword } from './passwords.ts';
import { keepRefreshToken, newRefreshToken, rotateRefreshToken } from './refresh-tokens.ts';
import { scopesOf } from './scopes.ts';
import { UaaError } from './uaa-error.ts';

type User = Selectable<UsersTable>;
type Client = Selectable<OauthClientsTable>;
type Deps = Pick<ApiDeps, 'store' | 'tokens' | 'loginGuard'>;
export interface GrantAsk {
  form: Record<string, string>;
  /** The Authorization header, if there is one: else the client names itself in the form. */
  authorization: string | undefined;
  /** Where the request comes from. */
  address: string;
}

/** @returns UAA's token answer. @throws UaaError */
export async function grantToken(deps: Deps, ask: GrantAsk): Promise<Record<string, unknown>> {
  const client = await findClient(deps, ask);
  const grant = ask.form.grant_type ?? '';
  if (!['password', 'refresh_token', 'client_credentials'].includes(grant))
    throw new UaaError(400, 'unsupported_grant_type', `Unsupported grant type: ${grant.slice(0, 100)}`);
  if (!client.grant_types.split(',').includes(grant))
    throw new UaaError(401, 'invalid_client', `Unauthorized grant type: ${grant}`);
  if (grant === 'password') return passwordGrant(deps, client, ask);
  return grant === 'refresh_token' ? refreshGrant(deps, client, ask) : clientGrant(deps, client);
}

/** A client with an empty secret is a public one, as `cf` is. */
async function findClient({ store }: Deps, { form, authorization }: GrantAsk): Promise<Client> {
  const { id, secret } = basicCredentials(authorization) ?? {
    id: form.client_id ?? '',
    secret: form.client_secret ?? '',
  };
  const client = await store.read
    .selectFrom('oauth_clients')
    .selectAll()
    .where('client_id', '=', id)
    .executeTakeFirst();
  const isRight = client?.secret_hash === null ? secret === '' : await isPassword(secret, client?.secret_hash ?? null);
  if (client === undefined || !isRight) throw new UaaError(401, 'unauthorized', 'Bad credentials');
  return client;
}

function basicCredentials(authorization: string | undefined): { id: string; secret: string } | null {
  const encoded = /^basic\s+(\S+)$/i.exec(authorization ?? '')?.[1];
  if (encoded === undefined) return null;
  const text = Buffer.from(encoded, 'base64').toString();
  const colon = text.indexOf(':');
  return colon < 0 ? null : { id: formDecode(text.slice(0, colon)), secret: formDecode(text.slice(colon + 1)) };
}

/** Both are form-encoded before they are joined (RFC 6749, 2.3.1). */
function formDecode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', '%20'));
  } catch {
    return text; // Not encoded, as many clients send it.
  }
}

/** Guesses are counted by where they come from alone: a code names nobody. */
async function ownerOf({ store, loginGuard }: Deps, passcode: string, address: string): Promise<User> {
  let user: User | undefined;
  // No user's name begins with a blank.
  await loginGuard.attempt(' one-time code', address, async () => {
    user = await store.note(async write => {
      const guid = await takePasscode(write, passcode);
      if (guid === null) return undefined;
      return write.db.selectFrom('users').selectAll().where('guid', '=', guid).executeTakeFirst();
    });
    return user !== undefined;
  });
  if (user === undefined) throw badCredentials();
  return user;
}

/** By a one-time code, as `cf login --sso` sends it, or by name and password. @throws UaaError */
async function whoLogsIn(deps: Deps, form: GrantAsk['form'], address: string): Promise<User> {
  const { username, password, passcode } = form;
  if (passcode !== undefined) return ownerOf(deps, passcode, address);
  if (username === undefined || password === undefined) throw badCredentials();
  return checkLogin(deps, { username, password, address });
}

async function passwordGrant(
  deps: Deps,
  client: Client,
  { form, address }: GrantAsk,
): Promise<Record<string, unknown>> {
  const user = await whoLogsIn(deps, form, address);
  const refresh = newRefreshToken();
  await deps.store.note(async write => {
    await keepRefreshToken(write, refresh, { userGuid: user.guid, clientId: client.client_id });
    if (user.listed === 0)
      await write.db.updateTable('users').set({ listed: 1 }).where('guid', '=', user.guid).execute();
  });
  return userAnswer(deps, user, client, { grant: 'password', refresh });
}

async function refreshGrant(deps: Deps, client: Client, { form }: GrantAsk): Promise<Record<string, unknown>> {
  const next = newRefreshToken();
  const user = await deps.store.note(async write => {
    const ask = { token: form.refresh_token ?? '', next, clientId: client.client_id };
    const owner = await rotateRefreshToken(write, ask);
    if (owner === null) return undefined;
    return write.db.selectFrom('users').selectAll().where('guid', '=', owner.userGuid).executeTakeFirst();
  });
  if (user === undefined)
    throw new UaaError(
      401,
      'invalid_token',
      'The token expired, was revoked, or the token ID is incorrect. Log in again.',
    );
  return userAnswer(deps, user, client, { grant: 'refresh_token', refresh: next });
}

async function userAnswer(
  { tokens }: Deps,
  user: User,
  client: Client,
  { grant, refresh }: { grant: string; refresh: string },
): Promise<Record<string, unknown>> {
  const scope = scopesOf({ isAdmin: user.is_admin === 1 });
  const claims = {
    sub: user.guid,
    user_id: user.guid,
    user_name: user.username,
    email: user.email ?? user.username,
    origin: user.origin,
    client_id: client.client_id,
    cid: client.client_id,
    azp: client.client_id,
    grant_type: grant,
    scope,
  };
  const issued = await tokens.issue(claims, TOKEN_LIMITS.accessSeconds);
  return { ...answer(issued, scope), refresh_token: refresh };
}

/** The cf CLI does not keep the secret, so it cannot ask again: these live long, and can be revoked. */
async function clientGrant({ tokens }: Deps, client: Client): Promise<Record<string, unknown>> {
  const scope = client.authorities.split(',').filter(authority => authority !== '');
  const claims = {
    sub: client.client_id,
    client_id: client.client_id,
    cid: client.client_id,
    azp: client.client_id,
    authorities: scope,
    grant_type: 'client_credentials',
    revocable: true,
    scope,
  };
  return answer(await tokens.issue(claims, TOKEN_LIMITS.clientAccessSeconds), scope);
}

/** `bearer` in small letters: with another form the cf CLI refreshes before each request. */
function answer(issued: { token: string; jti: string; expiresInSeconds: number }, scope: string[]) {
  return {
    access_token: issued.token,
    token_type: 'bearer',
    expires_in: issued.expiresInSeconds,
    scope: scope.join(' '),
    jti: issued.jti,
  };
}
