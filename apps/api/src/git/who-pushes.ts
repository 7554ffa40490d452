/**
 * Who speaks git's HTTP: a user by name and password, or by an access token in the password's place (whatever the name), as credential helpers send it. The
 * part that runs git gets neither: it gets a token of that user that is good for one push.
 */
import type { Actor } from '../access/actor.ts';
import type { ApiDeps } from '../deps.ts';
import { actorOfUser, createAuthenticate } from '../uaa/authenticate.ts';
import { checkLogin } from '../uaa/check-login.ts';
import { scopesOf } from '../uaa/scopes.ts';

/** Receiving, staging and starting, each at its limit, end within it (ours). It never leaves the platform. */
const PUSH_TOKEN_SECONDS = 3_600;
const CLIENT = 'cf';

export interface Pusher {
  actor: Actor;
  /** The Authorization header of what is done for them. */
  authorization: string;
}

/** @throws UaaError, UnauthenticatedError when the login is wrong; null without one. */
export async function whoPushes(
  deps: ApiDeps,
  { authorization, address }: { authorization: string | undefined; address: string },
): Promise<Pusher | null> {
  const login = basicOf(authorization);
  const bearer = login === null ? authorization : isToken(login.password) ? `bearer ${login.password}` : undefined;
  if (login === null && bearer === undefined) return null;
  const actor =
    bearer !== undefined
      ? await createAuthenticate(deps.store.read, deps.tokens)(bearer, { leewayMs: 0 })
      : await byPassword(deps, { username: login?.username ?? '', password: login?.password ?? '', address });
  if (actor === null) return null;
  // A client's own token lives long, and may be revoked by its id: another one would not be.
  if (actor.kind === 'client' && bearer !== undefined) return { actor, authorization: bearer };
  return { actor, authorization: `bearer ${await pushToken(deps, actor)}` };
}

async function byPassword(
  deps: ApiDeps,
  login: { username: string; password: string; address: string },
): Promise<Actor | null> {
  const user = await checkLogin(deps, login);
  return actorOfUser(deps.store.read, user.guid);
}

/** Three parts, as every JWT. */
const isToken = (text: string): boolean => /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text);

function basicOf(authorization: string | undefined): { username: string; password: string } | null {
  const encoded = /^basic\s+(\S+)$/i.exec(authorization ?? '')?.[1];
  if (encoded === undefined) return null;
  const [username = '', ...rest] = Buffer.from(encoded, 'base64').toString('utf8').split(':');
  return { username, password: rest.join(':').replace(/^bearer\s+/i, '') };
}

/** Good for one push, as that user. */
export async function pushToken({ tokens }: Pick<ApiDeps, 'tokens'>, actor: Actor): Promise<string> {
  const claims = {
    sub: actor.guid,
    user_id: actor.guid,
    user_name: actor.name,
    email: actor.name,
    origin: actor.origin,
    client_id: CLIENT,
    cid: CLIENT,
    azp: CLIENT,
    grant_type: 'git',
    scope: scopesOf(actor),
  };
  return (await tokens.issue(claims, PUSH_TOKEN_SECONDS)).token;
}
