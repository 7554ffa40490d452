/**
 * The dashboard's files: made once for each change of its sources (`build.ts`), compressed when they were made, served as they lie. Names of assets carry
 * their content's hash and are kept by browsers for good; the page itself is asked for again each time.
 */
import { readFile } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { join } from 'node:path';
import { NotFoundError } from '@cupola/model/errors';
import { UNKNOWN_REQUEST } from '../cf-error.ts';
import type { ApiDeps } from '../deps.ts';
import type { Reply } from '../http/endpoint.ts';
import { createBuild } from './build.ts';

/** Nothing inline, nothing from elsewhere, no text that becomes code (threats.md 27). */
const HEADERS = {
  'Content-Security-Policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "font-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'same-origin',
  'X-Content-Type-Options': 'nosniff',
};
const TYPES: Record<string, string> = {
  css: 'text/css; charset=utf-8',
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
  woff2: 'font/woff2',
};
const FOR_GOOD = 'public, max-age=31536000, immutable';
/** Best first. */
const ENCODINGS = [
  ['br', '.br'],
  ['gzip', '.gz'],
] as const;

export interface Assets {
  /** @throws NotFoundError */
  reply(path: string, headers: IncomingHttpHeaders): Promise<Reply>;
}

export function createAssets(folders: ApiDeps['config']['dashboard'], log: ApiDeps['log']): Assets {
  const build = createBuild(folders, log);
  return {
    reply: async (path, headers) => {
      const found = await build.folder();
      if (found.state !== 'there') return notThere(found.state);
      const asset = /^\/dashboard\/assets\/([\w][\w.-]*\.(\w+))$/.exec(path);
      if (asset === null && path.startsWith('/dashboard/assets')) throw new NotFoundError(UNKNOWN_REQUEST);
      const [name, extension] = asset === null ? ['index.html', 'html'] : [`assets/${asset[1]}`, asset[2] ?? ''];
      const sent = await readSmallest(join(found.folder, name), String(headers['accept-encoding'] ?? ''));
      if (sent === null || TYPES[extension] === undefined) throw new NotFoundError(UNKNOWN_REQUEST);
      return {
        status: 200,
        body: sent.bytes,
        contentType: TYPES[extension],
        headers: {
          ...HEADERS,
          'Cache-Control': asset === null ? 'no-cache' : FOR_GOOD,
          Vary: 'Accept-Encoding',
          ...(sent.encoding === null ? {} : { 'Content-Encoding': sent.encoding }),
        },
      };
    },
  };
}

/** The best form that both the client takes and there is. */
async function readSmallest(
  file: string,
  accepted: string,
): Promise<{ bytes: Buffer; encoding: string | null } | null> {
  for (const [encoding, suffix] of ENCODINGS) {
    if (!new RegExp(`\\b${encoding}\\b(?!;q=0(?:[,.\\s]|$))`).test(accepted)) continue;
    const bytes = await readIfThere(`${file}${suffix}`);
    if (bytes !== null) return { bytes, encoding };
  }
  const bytes = await readIfThere(file);
  return bytes === null ? null : { bytes, encoding: null };
}

async function readIfThere(file: string): Promise<Buffer | null> {
  try {
    return await readFile(file);
  } catch {
    return null; // Another form of it is there, or it is of a former version: the caller knows.
  }
}

function notThere(state: 'making' | 'failed'): Reply {
  const text =
    state === 'making'
      ? 'The dashboard is being built from its sources, which takes some seconds, once after each upgrade. This page opens it by itself.'
      : 'The dashboard could not be built; the log of the API (part "control") says why. Run "npm ci" in the folder of Cupola, then load this page again. The API and the CLI work without it.';
  const again = state === 'making' ? '<meta http-equiv="refresh" content="1">' : '';
  return {
    status: 503,
    body: `<!doctype html><html lang="en"><head><meta charset="utf-8">${again}<title>Cupola</title></head><body><p>${text}</p></body></html>\n`,
    contentType: TYPES.html ?? '',
    headers: { ...HEADERS, 'Cache-Control': 'no-store', 'Retry-After': '1' },
  };
}
