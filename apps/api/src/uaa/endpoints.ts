/** The part of UAA that CF's clients use: login, tokens, keys. Users are in `scim.ts`, clients in `clients.ts`. */
import { z } from 'zod';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { authorizeEndpoints } from './authorize-endpoints.ts';
import { grantToken } from './grants.ts';
import { passcodeEndpoints } from './passcode-endpoints.ts';

/** A version of UAA whose clients find all that we have; the cf CLI wants 4.26 or newer. */
const UAA_VERSION = '77.20.0';

function loginDocument(publicUrl: string) {
  return {
    app: { version: UAA_VERSION },
    links: { uaa: publicUrl, login: publicUrl },
    zone_name: 'uaa',
    entityID: publicUrl,
    prompts: {
      username: ['text', 'Email'],
      password: ['password', 'Password'],
      passcode: ['password', `Temporary Authentication Code ( Get one at ${publicUrl}/passcode )`],
    },
  };
}

/** @param issuer as tokens say it, whatever origin was asked. */
function discovery(publicUrl: string, issuer: string) {
  return {
    issuer,
    authorization_endpoint: `${publicUrl}/oauth/authorize`,
    token_endpoint: `${publicUrl}/oauth/token`,
    jwks_uri: `${publicUrl}/token_keys`,
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
    token_endpoint_auth_signing_alg_values_supported: ['RS256'],
    grant_types_supported: ['password', 'refresh_token', 'client_credentials'],
    response_types_supported: ['token', 'code'],
    code_challenge_methods_supported: ['S256'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    scopes_supported: ['openid'],
    claims_supported: ['sub', 'user_name', 'origin', 'iss', 'iat', 'exp', 'aud', 'zid', 'client_id'],
  };
}

const tokenForm = z.record(z.string(), z.string());
const NO_STORE = { 'Cache-Control': 'no-store', Pragma: 'no-cache' };

export const uaaEndpoints: Endpoint[] = [
  ...passcodeEndpoints,
  ...authorizeEndpoints,
  ...(['/login', '/info'] as const).map(path =>
    endpoint({
      method: 'GET',
      path,
      auth: 'anyone',
      failures: 'uaa',
      summary: 'What a login asks for',
      handle: async ({ config }) => ({ status: 200, body: loginDocument(config.publicUrl) }),
    }),
  ),
  endpoint({
    method: 'POST',
    path: '/oauth/token',
    auth: 'anyone',
    body: 'form',
    failures: 'uaa',
    summary: 'A token for a password, a refresh token, or a client',
    bodySchema: tokenForm,
    handle: async (deps, { body, raw, clientAddress }) => {
      const ask = {
        form: body,
        authorization: raw.request.headers.authorization,
        address: clientAddress,
      };
      return { status: 200, body: await grantToken(deps, ask), headers: NO_STORE };
    },
  }),
  endpoint({
    method: 'GET',
    path: '/token_keys',
    auth: 'anyone',
    failures: 'uaa',
    summary: 'Keys that verify access tokens',
    handle: async ({ tokens }) => ({ status: 200, body: { keys: tokens.publicKeys() } }),
  }),
  endpoint({
    method: 'GET',
    path: '/token_key',
    auth: 'anyone',
    failures: 'uaa',
    summary: 'The key that signs now',
    handle: async ({ tokens }) => ({ status: 200, body: tokens.publicKeys()[0] }),
  }),
  endpoint({
    method: 'GET',
    path: '/.well-known/openid-configuration',
    auth: 'anyone',
    failures: 'uaa',
    summary: 'Discovery document',
    handle: async ({ config, tokens }) => ({ status: 200, body: discovery(config.publicUrl, tokens.issuer) }),
  }),
];
