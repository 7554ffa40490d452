/** `/oauth/authorize`: the page where a name and a password are typed. It runs no script; who typed them right is sent back with a code. */
import { z } from 'zod';
import type { ApiDeps } from '../deps.ts';
import { type Endpoint, endpoint, type Reply } from '../http/endpoint.ts';
import { isSameOrigin } from '../http/same-origin.ts';
import { DASHBOARD_CALLBACK, DASHBOARD_CLIENT, keepCode, newSecret } from './authorization-codes.ts';
import { checkLogin } from './check-login.ts';
import { signInPage } from './sign-in-page.ts';
import { UaaError } from './uaa-error.ts';

const ask = z.object({
  response_type: z.literal('code', { error: 'response_type must be "code"' }),
  client_id: z.string(),
  redirect_uri: z.string(),
  state: z.string().regex(/^[\w-]{16,128}$/, { error: 'state must be 16 to 128 letters, digits and dashes' }),
  code_challenge: z.string().regex(/^[\w-]{43}$/, { error: 'code_challenge must be that of a verifier (PKCE)' }),
  code_challenge_method: z.literal('S256', { error: 'code_challenge_method must be "S256"' }),
});
export type AuthorizeAsk = z.infer<typeof ask>;

/** Anything that is not as registered is refused here, and redirected nowhere (threats.md 14). @throws UaaError */
function readAsk(given: Record<string, string>, publicUrl: string): AuthorizeAsk {
  if (given.client_id === 'ssh-proxy') throw new UaaError(400, 'invalid_request', 'SSH is not supported yet.');
  if (given.client_id !== DASHBOARD_CLIENT)
    throw new UaaError(400, 'invalid_client', 'No client of that name may sign in here.');
  if (given.redirect_uri !== `${publicUrl}${DASHBOARD_CALLBACK}`)
    throw new UaaError(400, 'invalid_request', 'Invalid redirect: it is not the registered one of this client.');
  const read = ask.safeParse(given);
  if (!read.success) throw new UaaError(400, 'invalid_request', read.error.issues[0]?.message ?? 'Invalid request');
  return read.data;
}

async function signIn(deps: ApiDeps, form: Record<string, string>, address: string): Promise<Reply> {
  const asked = readAsk(form, deps.config.publicUrl);
  const { username = '', password = '' } = form;
  try {
    const user = await checkLogin(deps, { username, password, address });
    const code = newSecret();
    await deps.store.note(write => keepCode(write, { code, userGuid: user.guid, challenge: asked.code_challenge }));
    const query = new URLSearchParams({ code, state: asked.state });
    // The registered path, at whatever name of this machine the browser uses.
    return {
      status: 303,
      headers: { Location: `${DASHBOARD_CALLBACK}?${query}`, 'Cache-Control': 'no-store' },
    };
  } catch (error) {
    if (!(error instanceof UaaError)) throw error;
    return signInPage(401, asked, { problem: wordsOf(error), publicUrl: deps.config.publicUrl });
  }
}

/** UAA's words are for programs. */
function wordsOf({ message }: UaaError): string {
  return message === 'Bad credentials' ? 'That name and password do not belong together. Try again.' : message;
}

export const authorizeEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/oauth/authorize',
    auth: 'anyone',
    failures: 'uaa',
    summary: 'Page to sign in to the dashboard (authorization code with PKCE)',
    handle: async ({ config }, { query }) =>
      signInPage(200, readAsk(query, config.publicUrl), { problem: null, publicUrl: config.publicUrl }),
  }),
  endpoint({
    method: 'POST',
    path: '/oauth/authorize',
    auth: 'anyone',
    body: 'form',
    failures: 'uaa',
    summary: 'Name and password of that page: answered with a redirect that carries a code',
    bodySchema: z.record(z.string(), z.string()),
    handle: async (deps, { body, raw, clientAddress }) => {
      if (!isSameOrigin(raw.request.headers)) throw new UaaError(403, 'access_denied', 'Sign in on this page itself.');
      return signIn(deps, body, clientAddress);
    },
  }),
];
