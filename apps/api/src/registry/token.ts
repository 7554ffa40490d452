/**
 * Tokens of the registry: each opens the images of one app, for some minutes, and nothing else of the API. Sealed with the platform's key, so that every API
 * knows those of the others and clients can read nothing out of them. Docker's way to them is its token specification.
 */
import type { Sealer } from '@cupola/store/seal';
import { z } from 'zod';
import type { Actor } from '../access/actor.ts';
import type { ApiDeps } from '../deps.ts';
import { actorOfUser, createAuthenticate } from '../uaa/authenticate.ts';
import { checkLogin } from '../uaa/check-login.ts';

/** Clients get another one when it has ended, in the middle of a pull too (ours; Docker Hub has the same). */
export const TOKEN_SECONDS = 300;
/** Whose password is an access token of ours. */
const BEARER_USER = 'bearer';
/** So that nothing else that was sealed is taken for a token. */
const KIND = 'registry';

const content = z.object({
  kind: z.literal(KIND),
  /** Null: it says that a login was right, and opens nothing. */
  appGuid: z.string().nullable(),
  endsAt: z.number(),
});

export function makeToken(
  { sealer, now }: { sealer: Sealer; now(): number },
  appGuid: string | null,
): { token: string; issuedAt: Date } {
  const at = now();
  const said: z.infer<typeof content> = { kind: KIND, appGuid, endsAt: at + TOKEN_SECONDS * 1_000 };
  return { token: sealer.seal(JSON.stringify(said)), issuedAt: new Date(at) };
}

/** Of an Authorization header; null for what is none, or has ended. */
export function readToken(
  { sealer, now }: { sealer: Sealer; now(): number },
  authorization: string | undefined,
): { appGuid: string | null } | null {
  const token = /^bearer\s+(\S+)$/i.exec(authorization ?? '')?.[1];
  if (token === undefined) return null;
  try {
    const said = content.parse(JSON.parse(sealer.open(token)));
    return said.endsAt > now() ? { appGuid: said.appGuid } : null;
  } catch {
    return null; // Forged, damaged, or something else: why does not matter to who sent it.
  }
}

/**
 * Who logs in: a user by password, or `bearer` with an access token.
 * @throws UaaError, UnauthenticatedError when that is wrong; null without a login.
 */
export async function whoLogsIn(
  deps: ApiDeps,
  { authorization, address }: { authorization: string | undefined; address: string },
): Promise<Actor | null> {
  const encoded = /^basic\s+(\S+)$/i.exec(authorization ?? '')?.[1];
  if (encoded === undefined) return null;
  const [username = '', ...rest] = Buffer.from(encoded, 'base64').toString('utf8').split(':');
  const password = rest.join(':');
  if (username === BEARER_USER)
    return createAuthenticate(deps.store.read, deps.tokens)(`bearer ${password}`, { leewayMs: 0 });
  const user = await checkLogin(deps, { username, password, address });
  return actorOfUser(deps.store.read, user.guid);
}
