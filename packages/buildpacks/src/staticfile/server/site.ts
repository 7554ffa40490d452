/**
 * Answers requests from a folder, as CF's nginx does for a staticfile app: index files, ETag and Last-Modified with their conditions, one range, gzip,
 * pushstate, custom error pages. Stands alone: it is copied into the droplet, and runs under the app's Node.js with nothing beside it.
 */
import { createHash } from 'node:crypto';
import { createReadStream, type Stats } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { contentType, isText } from './content-types.ts';
import { isAllowed } from './passwords.ts';

const INDEX_FILES = ['index.html', 'index.htm', 'Default.htm'];
/** nginx' gzip_min_length in CF: what is smaller fits a packet anyway. */
const GZIP_MIN_BYTES = 1_100;
/** A larger file's ETag is made of its size and time: it is not read whole for it. */
const HASHED_MAX_BYTES = 8 * 1024 * 1024;
/** ETags remembered; beyond it the oldest is forgotten. */
const TAGS_MAX = 10_000;

export interface SiteOptions {
  root: string;
  hostDotFiles: boolean;
  directoryIndex: boolean;
  pushState: boolean;
  forceHttps: boolean;
  strictTransport: string | null;
  statusPages: Readonly<Record<string, string>>;
  /** Text of Staticfile.auth; null: everyone may read. */
  passwords: string | null;
}

interface Found {
  path: string;
  stat: Stats;
}

/** A listener for `http.createServer`. Never throws: what goes wrong is a 500. */
export function createSite(
  options: SiteOptions,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const tags = new Map<string, string>();
  const answer = answerer(options, file => tagOf(tags, file));
  return async (request, response) => {
    try {
      await answer(request, response);
    } catch (error) {
      // A client that went away in the middle of a file is no error.
      if (!response.headersSent && !response.destroyed) response.writeHead(500).end('Internal Server Error\n');
      else response.destroy();
      if ((error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE') console.error(error);
    }
  };
}

function answerer(options: SiteOptions, tag: (file: Found) => Promise<string>) {
  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (options.strictTransport !== null) response.setHeader('Strict-Transport-Security', options.strictTransport);
    const fail = (status: number): Promise<void> => sendError(options, request, response, status);
    const first = (name: string): string =>
      String(request.headers[name] ?? '')
        .split(',')[0]
        ?.trim() ?? '';
    if (options.forceHttps && first('x-forwarded-proto') !== 'https') {
      const host = first('x-forwarded-host') || first('host');
      return redirect(response, `https://${host}${request.url ?? '/'}`);
    }
    if (options.passwords !== null && !isAllowed(options.passwords, request.headers.authorization)) {
      response.setHeader('WWW-Authenticate', 'Basic realm="Restricted"');
      return fail(401);
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      return fail(405);
    }
    const [encoded = '/', query] = (request.url ?? '/').split('?', 2);
    const path = decode(encoded);
    if (path === null) return fail(400);
    if (!options.hostDotFiles && /\/\./.test(path)) return fail(404);
    const found = await find(options, path);
    if (found === 'folder') return redirect(response, `${encoded}/${query === undefined ? '' : `?${query}`}`);
    if (found === 'closed') return options.directoryIndex ? sendListing(options, path, response) : fail(403);
    if (found === null) return fail(404);
    return sendFile({ request, response, file: found, tag: await tag(found) });
  };
}

/** The path as it was meant; null for one that cannot be meant. */
function decode(encoded: string): string | null {
  try {
    const path = decodeURIComponent(encoded);
    if (!path.startsWith('/') || path.includes('\0') || path.split('/').includes('..')) return null;
    return path.replace(/\/{2,}/g, '/');
  } catch {
    return null;
  }
}

/** The file to send; `folder`: one without its slash; `closed`: a folder without an index file; null: nothing there. */
async function find({ root, pushState }: SiteOptions, path: string): Promise<Found | 'folder' | 'closed' | null> {
  const at = await lookAt(join(root, path));
  if (at?.stat.isFile() && !path.endsWith('/')) return at;
  if (at?.stat.isDirectory()) {
    if (!path.endsWith('/')) return 'folder';
    return (await indexOf(at.path)) ?? 'closed';
  }
  return pushState ? await indexOf(root) : null;
}

async function indexOf(folder: string): Promise<Found | null> {
  for (const name of INDEX_FILES) {
    const index = await lookAt(join(folder, name));
    if (index?.stat.isFile()) return index;
  }
  return null;
}

async function lookAt(path: string): Promise<Found | null> {
  try {
    return { path, stat: await stat(path) };
  } catch {
    return null; // Not there, or not ours to read: nothing to send either way.
  }
}

/** Of the content, so that all instances of an app agree: files get their times when an instance is laid out. */
async function tagOf(tags: Map<string, string>, { path, stat: { size, mtimeMs } }: Found): Promise<string> {
  const key = `${size}-${mtimeMs}-${path}`;
  const known = tags.get(key);
  if (known !== undefined) return known;
  const tag =
    size > HASHED_MAX_BYTES
      ? `${size.toString(16)}-${Math.floor(mtimeMs).toString(16)}`
      : createHash('sha1')
          .update(await readFile(path))
          .digest('base64url');
  if (tags.size >= TAGS_MAX) tags.delete(tags.keys().next().value ?? '');
  tags.set(key, tag);
  return tag;
}

function redirect(response: ServerResponse, location: string): void {
  response.writeHead(301, { Location: location, 'Content-Type': 'text/plain; charset=utf-8' });
  response.end(`Moved to ${location}\n`);
}

interface Sending {
  request: IncomingMessage;
  response: ServerResponse;
  file: Found;
  tag: string;
}

async function sendFile({ request, response, file, tag }: Sending): Promise<void> {
  const type = contentType(file.path);
  const { size, mtime } = file.stat;
  const compresses = isText(type) && size >= GZIP_MIN_BYTES;
  const gzip = compresses && acceptsGzip(request.headers['accept-encoding']);
  const etag = gzip ? `W/"${tag}"` : `"${tag}"`;
  response.setHeader('Content-Type', type);
  response.setHeader('ETag', etag);
  response.setHeader('Last-Modified', mtime.toUTCString());
  if (compresses) response.setHeader('Vary', 'Accept-Encoding');
  if (isUnchanged(request, tag, mtime)) return void response.writeHead(304).end();
  const range = gzip ? null : askedRange(request, { size, tag, mtime });
  if (range === 'unsatisfiable') {
    response.setHeader('Content-Range', `bytes */${size}`);
    return void response.writeHead(416).end();
  }
  if (gzip) response.setHeader('Content-Encoding', 'gzip');
  else {
    response.setHeader('Accept-Ranges', 'bytes');
    response.setHeader('Content-Length', range === null ? size : range.end - range.start + 1);
  }
  if (range !== null) response.setHeader('Content-Range', `bytes ${range.start}-${range.end}/${size}`);
  response.writeHead(range === null ? 200 : 206);
  if (request.method === 'HEAD') return void response.end();
  const source = createReadStream(file.path, range ?? {});
  await (gzip ? pipeline(source, createGzip(), response) : pipeline(source, response));
}

const acceptsGzip = (header: string | string[] | undefined): boolean =>
  String(header ?? '')
    .split(',')
    .some(part => /^\s*(gzip|\*)\s*(;|$)/i.test(part) && !/;\s*q=0(\.0*)?\s*$/.test(part));

/** RFC 9110 13.2: If-None-Match decides where it is sent, else If-Modified-Since. */
function isUnchanged({ headers }: IncomingMessage, tag: string, mtime: Date): boolean {
  const known = headers['if-none-match'];
  if (known !== undefined)
    return known.split(',').some(part => part.trim() === '*' || part.trim().replace(/^W\//, '') === `"${tag}"`);
  const since = Date.parse(headers['if-modified-since'] ?? '');
  return !Number.isNaN(since) && Math.floor(mtime.getTime() / 1_000) * 1_000 <= since;
}

/** One range only: several are answered whole, as RFC 9110 allows. */
function askedRange(
  { headers }: IncomingMessage,
  { size, tag, mtime }: { size: number; tag: string; mtime: Date },
): { start: number; end: number } | 'unsatisfiable' | null {
  const [, from, to] = /^bytes=(\d*)-(\d*)$/.exec(headers.range ?? '') ?? [];
  if (from === undefined || to === undefined || (from === '' && to === '')) return null;
  const condition = headers['if-range'];
  if (condition !== undefined && condition !== `"${tag}"` && condition !== mtime.toUTCString()) return null;
  const start = from === '' ? Math.max(0, size - Number(to)) : Number(from);
  const end = from === '' || to === '' ? size - 1 : Math.min(Number(to), size - 1);
  return start > end || start >= size ? 'unsatisfiable' : { start, end };
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Authorization Required',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Not Allowed',
};

/** The app's own page for that status, or a plain one. */
async function sendError(
  { root, statusPages }: SiteOptions,
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
): Promise<void> {
  const page = statusPages[status] ?? statusPages[`${Math.floor(status / 100)}xx`];
  const body = page === undefined ? null : await readFile(join(root, page)).catch(() => null);
  const text = body ?? Buffer.from(`<html><body><h1>${status} ${REASONS[status] ?? ''}</h1></body></html>\n`);
  response.writeHead(status, {
    'Content-Type': body === null || page === undefined ? 'text/html; charset=utf-8' : contentType(page),
    'Content-Length': text.length,
  });
  response.end(request.method === 'HEAD' ? undefined : text);
}

async function sendListing({ root, hostDotFiles }: SiteOptions, path: string, response: ServerResponse): Promise<void> {
  const entries = await readdir(join(root, path), { withFileTypes: true });
  const inHtml = (text: string): string => text.replace(/[&<>"]/g, letter => `&#${letter.charCodeAt(0)};`);
  const lines = entries
    .filter(({ name }) => hostDotFiles || !name.startsWith('.'))
    .map(entry => (entry.isDirectory() ? `${entry.name}/` : entry.name))
    .sort()
    .map(name => `<a href="${encodeURIComponent(name).replace('%2F', '/')}">${inHtml(name)}</a>`);
  const title = `Index of ${inHtml(path)}`;
  const html = `<html><head><title>${title}</title></head><body><h1>${title}</h1><pre><a href="../">../</a>\n${lines.join('\n')}\n</pre></body></html>\n`;
  response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8', 'Content-Length': Buffer.byteLength(html) });
  response.end(html);
}
