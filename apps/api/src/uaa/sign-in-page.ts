import { createHash } from 'node:crypto';
import type { Reply } from '../http/endpoint.ts';
import type { AuthorizeAsk } from './authorize-endpoints.ts';

/** The dashboard's own colours (apps/dashboard/src/styles/tokens.css); inline, so that the page needs nothing else, and allowed by its hash alone. */
const STYLE = `
:root{color-scheme:light dark;--ground:light-dark(#f4f1ea,#15130f);--sheet:light-dark(#fffdf8,#1d1a16);--ink:light-dark(#211d18,#efe9df);
--quiet:light-dark(#6b6257,#a79d8f);--line:light-dark(#cfc6b6,#4b443b);--fire:light-dark(#a8390b,#ff8a4c);--on-fire:light-dark(#fff,#1d0f06);--bad:light-dark(#a31621,#ff9d94)}
*{box-sizing:border-box}body{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{width:min(23rem,calc(100vw - 2rem))}svg{display:block;color:var(--fire)}h1{font-size:1.4rem;margin:1rem 0 .1rem;letter-spacing:-.01em}
p{margin:.3rem 0;color:var(--quiet)}form{margin-top:1.4rem;padding:1.4rem;background:var(--sheet);border:1px solid var(--line);border-top:3px solid var(--fire)}
label{display:block;font-weight:600;margin-bottom:1rem}input{display:block;width:100%;margin-top:.3rem;padding:.55rem .6rem;font:inherit;color:inherit;background:var(--ground);border:1px solid var(--line)}
button{font:inherit;font-weight:600;padding:.55rem 1.2rem;border:0;background:var(--fire);color:var(--on-fire);cursor:pointer}
:focus-visible{outline:2px solid var(--fire);outline-offset:2px}.problem{color:var(--bad);font-weight:600;margin:0 0 1rem}code{font:13px ui-monospace,monospace;color:var(--ink);overflow-wrap:anywhere}`;

const HEADERS = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': [
    "default-src 'none'",
    `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ].join('; '),
  // `no-referrer` would have the browser send `Origin: null` with the form.
  'Referrer-Policy': 'same-origin',
  'X-Content-Type-Options': 'nosniff',
};

/** @param ask checked: nothing of it needs escaping. `problem` is one of our own sentences. */
export function signInPage(
  status: number,
  ask: AuthorizeAsk,
  { problem, publicUrl }: { problem: string | null; publicUrl: string },
): Reply {
  const hidden = Object.entries(ask).map(([name, value]) => `<input type="hidden" name="${name}" value="${value}">`);
  const isSecure = publicUrl.startsWith('https:') || /^http:\/\/([\w.-]+\.)?localhost(:|$)/.test(publicUrl);
  const body = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>Sign in · Cupola</title><style>${STYLE}</style></head>
<body><main>
<svg width="34" height="34" viewBox="0 0 32 32" fill="none" stroke="currentColor" stroke-width="2.4" aria-hidden="true"><path d="M10 3h12v7l4 18H6l4-18z"/><path d="M13 22c0-3 3-4 3-8 2.6 2 4 4.6 4 7a3.5 3.5 0 0 1-7 1z" fill="currentColor" stroke="none"/></svg>
<h1>Sign in to Cupola</h1>
<p>The user and password of <code>cf login</code>. After <code>./cupola up</code> that is <code>admin</code>; it printed the password.</p>
<form method="post" action="/oauth/authorize">
${problem === null ? '' : `<p class="problem" role="alert">${problem}</p>`}
${hidden.join('')}
<label>User name<input name="username" autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus></label>
<label>Password<input name="password" type="password" autocomplete="current-password" required></label>
<button>Sign in</button>
</form>
${isSecure ? '' : '<p>This connection is not encrypted: who is on the network between can read the password. The HTTPS port of this platform has the same page.</p>'}
</main></body></html>
`;
  return { status, body, contentType: 'text/html; charset=utf-8', headers: HEADERS };
}
