/** The page that gives out one-time codes. It keeps no session: name and password are asked for each time, and nothing is stored in the browser. */
import { z } from 'zod';
import type { ApiDeps } from '../deps.ts';
import { type Endpoint, endpoint, type Reply } from '../http/endpoint.ts';
import { checkLogin } from './check-login.ts';
import { givePasscode } from './passcodes.ts';
import { UaaError } from './uaa-error.ts';

const HEADERS = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy':
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

/** @param content has no text of a user's in it. */
function page(status: number, content: string): Reply {
  const body = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Cupola: one-time code</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:24rem;margin:4rem auto;padding:0 1rem}
label{display:block;margin:1rem 0}input{display:block;width:100%;box-sizing:border-box;font:inherit;padding:.4rem}
button{font:inherit;padding:.4rem 1rem}h2{font-family:ui-monospace,monospace;letter-spacing:.1em}</style></head>
<body><h1>One-time code</h1>
${content}
</body></html>
`;
  return { status, body, contentType: 'text/html; charset=utf-8', headers: HEADERS };
}

function loginForm(message: string): string {
  return `<p role="status">${message}</p>
<form method="post" action="/passcode">
<label>User name <input name="username" autocomplete="username" required autofocus></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Get a code</button>
</form>`;
}

/** @throws UaaError */
async function passcodeFor(deps: ApiDeps, form: Record<string, string>, address: string): Promise<string> {
  const { username = '', password = '' } = form;
  const user = await checkLogin(deps, { username, password, address });
  return deps.store.note(write => givePasscode(write, user.guid));
}

export const passcodeEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/passcode',
    auth: 'anyone',
    summary: 'Page that gives a one-time code to who logs in there (cf login --sso)',
    handle: async () => page(200, loginForm('Log in to get a code for cf login.')),
  }),
  endpoint({
    method: 'POST',
    path: '/passcode',
    auth: 'anyone',
    body: 'form',
    summary: 'A one-time code for a name and a password',
    bodySchema: z.record(z.string(), z.string()),
    handle: async (deps, { body, raw }) => {
      try {
        const code = await passcodeFor(deps, body, raw.request.socket.remoteAddress ?? '');
        return page(
          200,
          `<h2>${code}</h2>\n<p>It counts once, for five minutes. Paste it where cf login asks for it.</p>`,
        );
      } catch (error) {
        if (!(error instanceof UaaError)) throw error;
        return page(401, loginForm(error.message));
      }
    },
  }),
];
