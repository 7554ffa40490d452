/** Discovery and login: where the API's parts are, tokens by password or refresh. Refresh tokens rotate: each is used once, the new one kept at once. */
import { readInfo, readRoot, readToken, readTokenClaims, readUaaError } from '@cupola/contract/v3/client-reads';
import { LoginError, NoApiError } from './errors.ts';
import { apiError, type HttpAnswer, parseBody, type Transport } from './transport.ts';

export interface Endpoints {
  /** Origin of the API, without a slash at its end. */
  readonly api: string;
  readonly login: string;
  readonly uaa: string;
  /** Null where the platform keeps no logs. */
  readonly logCache: string | null;
  readonly apiVersion: string;
  /** How apps are reached: as the API is, on the scheme's own port, unless the platform says otherwise. */
  readonly appsScheme: 'http' | 'https';
  readonly appsPort: number | null;
}

export interface Tokens {
  readonly access: string;
  readonly refresh: string | null;
}

/** Reads `GET /` and, where it answers, `GET /v3/info`. Works against any Cloud Foundry v3 API. */
export async function discover(transport: Transport, api: string): Promise<Endpoints> {
  const origin = api.replace(/\/+$/, '');
  const [root, info] = await Promise.all([get(transport, `${origin}/`), get(transport, `${origin}/v3/info`)]);
  if (root.status >= 500) throw apiError({ method: 'GET', url: `${origin}/` }, root);
  const { links } = readRootOf(origin, root);
  const custom = info.status === 200 ? readCustom(info) : null;
  const trim = (href: string | undefined): string | null => href?.replace(/\/+$/, '') ?? null;
  const uaa = trim(links.uaa?.href) ?? trim(links.login?.href) ?? origin;
  return {
    api: origin,
    login: trim(links.login?.href) ?? uaa,
    uaa,
    logCache: trim(links.log_cache?.href),
    apiVersion: links.cloud_controller_v3?.meta?.version ?? '',
    appsScheme: custom?.apps_scheme ?? (origin.startsWith('http:') ? 'http' : 'https'),
    appsPort: custom?.apps_port ?? null,
  };
}

function readRootOf(origin: string, { text }: HttpAnswer): ReturnType<typeof readRoot.parse> {
  try {
    return readRoot.parse(JSON.parse(text));
  } catch (cause) {
    throw new NoApiError(origin, cause);
  }
}

function readCustom(
  info: HttpAnswer,
): { apps_scheme?: 'http' | 'https' | null | undefined; apps_port?: number | null | undefined } | null {
  try {
    return readInfo.parse(JSON.parse(info.text)).custom ?? null;
  } catch {
    return null; // Another vendor's notion of custom: nothing of ours in it.
  }
}

function get(transport: Transport, url: string): Promise<HttpAnswer> {
  return transport.exchange({ method: 'GET', url, headers: { accept: 'application/json' } });
}

/** Throws LoginError when name or password are wrong. */
export function passwordLogin(
  transport: Transport,
  endpoints: Endpoints,
  user: { username: string; password: string },
): Promise<Tokens> {
  return grant(transport, endpoints.login, { grant_type: 'password', ...user });
}

/** Throws LoginError when the login has ended. The old refresh token is spent, whatever happens. */
export async function refreshTokens(transport: Transport, endpoints: Endpoints, refresh: string): Promise<Tokens> {
  const tokens = await grant(transport, endpoints.login, { grant_type: 'refresh_token', refresh_token: refresh });
  return { access: tokens.access, refresh: tokens.refresh ?? refresh };
}

async function grant(transport: Transport, base: string, fields: Record<string, string>): Promise<Tokens> {
  const url = `${base}/oauth/token`;
  const answer = await transport.exchange({
    method: 'POST',
    url,
    // The client every Cloud Foundry knows: `cf`, with an empty secret.
    headers: {
      authorization: `Basic ${Buffer.from('cf:').toString('base64')}`,
      'content-type': 'application/x-www-form-urlencoded',
      accept: 'application/json',
    },
    body: () => new URLSearchParams(fields).toString(),
  });
  if (answer.status === 200) {
    const { access_token, refresh_token } = parseBody(readToken, { method: 'POST', url }, answer);
    return { access: access_token, refresh: refresh_token ?? null };
  }
  throw loginError(url, answer);
}

function loginError(url: string, answer: HttpAnswer): Error {
  try {
    const { error, error_description } = readUaaError.parse(JSON.parse(answer.text));
    return new LoginError(error, error_description ?? error);
  } catch {
    return apiError({ method: 'POST', url }, answer);
  }
}

interface TokenClaims {
  /** Seconds since the epoch. */
  readonly exp?: number | null | undefined;
  readonly user_name?: string | null | undefined;
  readonly user_id?: string | null | undefined;
}

/** Claims of an access token, unchecked: the server checks. Empty for what is no JWT. */
export function readClaims(token: string): TokenClaims {
  try {
    return readTokenClaims.parse(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()));
  } catch {
    return {}; // Opaque tokens are legal: they are used until the server refuses them.
  }
}
