/**
 * The door: what a request must be before anything of it is passed on. Node's parser (strict, never `insecureHTTPParser`) refuses most malformed requests;
 * here stands what it lets through though two servers could read it differently (threats.md 15, 17, 18), and everything later code asks of the headers,
 * gathered in one pass.
 */
import { isIP } from 'node:net';
import type { RouterSettings } from '../settings.ts';
import { readHost } from '../table/route-key.ts';
import { type Answer, answers } from './answers.ts';

export interface RawRequest {
  readonly method: string;
  /** Request target as the request line had it. */
  readonly url: string;
  readonly httpVersion: string;
  readonly rawHeaders: readonly string[];
}

export interface ScreenedRequest {
  readonly method: string;
  /** Origin form: begins with `/`. */
  readonly target: string;
  /** Host for the look-up: lower case, no port. */
  readonly host: string;
  /** Host as the app is to see it. */
  readonly authority: string;
  readonly contentLength: number | null;
  readonly hasBody: boolean;
  /** Lower-case names of the headers, in step with `rawHeaders`. */
  readonly names: readonly string[];
  /** Names that `Connection` lists: they end here. Null when there is nothing but close, keep-alive and upgrade. */
  readonly nominated: ReadonlySet<string> | null;
  readonly forwardedFor: string;
  readonly forwardedProto: string;
  readonly cookie: string;
  readonly referer: string;
  readonly userAgent: string;
  readonly appInstance: string | null;
  readonly processInstance: string | null;
  /** Go's notion: no body and GET, HEAD, OPTIONS or TRACE, or an idempotency key (CF). */
  readonly idempotent: boolean;
}

/** Headers of which a second one is a contradiction, not a list. */
const SINGLE = new Set([
  'host',
  'content-length',
  'transfer-encoding',
  'x-cf-app-instance',
  'x-cf-process-instance',
  'upgrade',
  'expect',
]);
const REPEATABLE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);
const DIGITS = /^\d{1,15}$/;
const VISIBLE = /^[\x21-\xff]+$/;

/** Either the request, understood, or the answer that refuses it. */
export function screen(request: RawRequest, settings: RouterSettings): ScreenedRequest | { readonly refusal: Answer } {
  const { method, httpVersion, rawHeaders } = request;
  if (httpVersion !== '1.1' && httpVersion !== '1.0')
    return { refusal: answers.badRequest(`speaks HTTP/${httpVersion}`) };
  if (rawHeaders.length > settings.headersMax * 2)
    return { refusal: answers.headersTooLarge(`${settings.headersMax} headers, ${settings.headerBytesMax} bytes`) };
  const { names, values, duplicate } = gather(rawHeaders);
  if (duplicate !== null) return { refusal: answers.badRequest(`has more than one ${duplicate} header`) };

  const framing = readFraming(values, httpVersion);
  if ('fault' in framing) return { refusal: answers.badRequest(framing.fault) };
  if (settings.bodyMaxBytes !== null && (framing.contentLength ?? 0) > settings.bodyMaxBytes)
    return { refusal: answers.bodyTooLarge(settings.bodyMaxBytes) };

  const target = readTarget(request.url, values.get('host'));
  if ('fault' in target) return { refusal: answers.badRequest(target.fault) };
  const host = readHost(values.get('host') ?? '');
  if ('refused' in host)
    return {
      refusal:
        host.refused === 'empty' ? answers.emptyHost() : answers.badRequest('has a Host header that is no host name'),
    };

  const hasBody = framing.chunked || (framing.contentLength ?? 0) > 0;
  return {
    method,
    target: target.target,
    host: host.host,
    authority: values.get('host') ?? '',
    contentLength: framing.contentLength,
    hasBody,
    names,
    nominated: readNominated(values.get('connection')),
    forwardedFor: values.get('x-forwarded-for') ?? '',
    forwardedProto: values.get('x-forwarded-proto') ?? '',
    cookie: values.get('cookie') ?? '',
    referer: values.get('referer') ?? '',
    userAgent: values.get('user-agent') ?? '',
    appInstance: values.get('x-cf-app-instance') ?? null,
    processInstance: values.get('x-cf-process-instance') ?? null,
    idempotent:
      (!hasBody && REPEATABLE.has(method)) || values.has('idempotency-key') || values.has('x-idempotency-key'),
  };
}

/** The headers that the router itself reads. */
const READ = new Set([
  ...SINGLE,
  'connection',
  'x-forwarded-for',
  'x-forwarded-proto',
  'cookie',
  'referer',
  'user-agent',
  'idempotency-key',
  'x-idempotency-key',
]);

function gather(raw: readonly string[]): { names: string[]; values: Map<string, string>; duplicate: string | null } {
  const names: string[] = [];
  const values = new Map<string, string>();
  let duplicate: string | null = null;
  for (let at = 0; at < raw.length; at += 2) {
    const name = (raw[at] as string).toLowerCase();
    names.push(name);
    if (!READ.has(name)) continue;
    const value = raw[at + 1] as string;
    const before = values.get(name);
    if (before === undefined) values.set(name, value);
    else if (SINGLE.has(name)) duplicate = name;
    else values.set(name, `${before}${name === 'cookie' ? '; ' : ', '}${value}`);
  }
  return { names, values, duplicate };
}

type Framing = { contentLength: number | null; chunked: boolean };

function readFraming(values: ReadonlyMap<string, string>, httpVersion: string): Framing | { fault: string } {
  const length = values.get('content-length');
  const encoding = values.get('transfer-encoding');
  if (length !== undefined && encoding !== undefined) return { fault: 'has both Content-Length and Transfer-Encoding' };
  if (encoding !== undefined && encoding.toLowerCase() !== 'chunked')
    return { fault: 'has a Transfer-Encoding other than chunked' };
  if (encoding !== undefined && httpVersion === '1.0')
    return { fault: 'has a Transfer-Encoding, which HTTP/1.0 does not know' };
  if (length !== undefined && !DIGITS.test(length)) return { fault: 'has a Content-Length that is no number' };
  return { contentLength: length === undefined ? null : Number(length), chunked: encoding !== undefined };
}

/** Absolute form is allowed where it names the same host; the app gets the origin form. */
function readTarget(url: string, host: string | undefined): { target: string } | { fault: string } {
  if (!VISIBLE.test(url)) return { fault: 'has blanks or control characters in its path' };
  if (url.includes('#')) return { fault: 'has a fragment (#) in its path, which no browser sends' };
  if (url.startsWith('/')) return { target: url };
  const absolute = /^https?:\/\/([^/?#]*)(.*)$/i.exec(url);
  if (absolute === null) return { fault: 'has a path that does not begin with a slash' };
  const [, authority = '', rest = ''] = absolute;
  if (authority.toLowerCase() !== host?.toLowerCase())
    return { fault: 'names one host in its first line and another in its Host header' };
  return { target: rest.startsWith('/') ? rest : `/${rest}` };
}

const CONNECTION_WORDS = new Set(['', 'close', 'keep-alive', 'upgrade', 'host', 'content-length', 'transfer-encoding']);

function readNominated(connection: string | undefined): ReadonlySet<string> | null {
  if (connection === undefined) return null;
  const names = connection
    .toLowerCase()
    .split(',')
    .map(name => name.trim())
    .filter(name => !CONNECTION_WORDS.has(name));
  return names.length === 0 ? null : new Set(names);
}

/** `::ffff:10.0.0.1`, as a socket on both families names an IPv4 client, in its plain form. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return '';
  const mapped = address.startsWith('::ffff:') ? address.slice(7) : address;
  return isIP(mapped) === 4 ? mapped : address;
}
