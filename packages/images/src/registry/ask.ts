/**
 * One request to a registry, or to where it sends us: dials only addresses that the policy allows, each time anew, so that neither a name that changes its mind
 * nor a redirect leads elsewhere. A login goes to the host that it was given for and to no other.
 */
import { lookup } from 'node:dns';
import http from 'node:http';
import https from 'node:https';
import type { LookupFunction } from 'node:net';
import { getCACertificates } from 'node:tls';
import { RegistryError } from './errors.ts';
import { addressIn, type RegistryPolicy } from './policy.ts';

const REDIRECTS_MAX = 5;
/** Without a byte: a registry that fetches a blob from far away itself takes some seconds (ours). */
const SILENCE_MS = 60_000;
const TLS_TROUBLE = /SELF_SIGNED|UNABLE_TO_(?:GET|VERIFY)|CERT_|ERR_TLS|ERR_SSL|EPROTO|HOSTNAME_MISMATCH|DEPTH_ZERO/;

export interface Asking {
  policy: RegistryPolicy;
  signal: AbortSignal;
}
/** What is sent may be sent again: opened anew each time. */
export interface SentBody {
  sizeBytes: number;
  open(): AsyncIterable<Buffer>;
}
export interface AskOptions extends Asking {
  method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH';
  headers: Record<string, string>;
  body?: SentBody;
}

/** The answer, whatever its status; its body is to be read or destroyed. @throws RegistryError when there is none, or may not be. */
export async function ask(url: URL, options: AskOptions): Promise<http.IncomingMessage> {
  let at = url;
  let { headers } = options;
  for (let redirects = 0; ; redirects++) {
    const answer = await once(at, { ...options, headers });
    const { location } = answer.headers;
    const status = answer.statusCode ?? 0;
    const isMoved = [301, 302, 303, 307, 308].includes(status) && location !== undefined;
    if (!isMoved || (options.method ?? 'GET') !== 'GET') return answer;
    answer.destroy();
    const next = URL.parse(location, at.href);
    if (next === null || redirects === REDIRECTS_MAX)
      throw new RegistryError('unreachable', `${url.host} sends from one place to another without an end`);
    if (next.host !== at.host || next.protocol !== at.protocol) headers = without(headers, 'authorization');
    at = next;
  }
}

function without(headers: Record<string, string>, name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([key]) => key !== name));
}

async function once(
  url: URL,
  { method = 'GET', headers, body, policy, signal }: AskOptions,
): Promise<http.IncomingMessage> {
  checkDoor(url, policy);
  const answered = Promise.withResolvers<http.IncomingMessage>();
  const options: https.RequestOptions = {
    method,
    headers: { ...headers, ...lengthOf(method, body) },
    agent: false,
    signal,
    lookup: judged(url.host, policy),
    ...(url.protocol === 'https:' ? { ca: authorities() } : {}),
  };
  const request = (url.protocol === 'https:' ? https : http).request(url, options, answered.resolve);
  request.setTimeout(SILENCE_MS, () => request.destroy(new Error(`nothing was heard for ${SILENCE_MS / 1_000} s`)));
  request.on('error', answered.reject);
  if (body === undefined) request.end();
  else void send(body.open(), request);
  try {
    return await answered.promise;
  } catch (error) {
    throw asTrouble(url, error as NodeJS.ErrnoException);
  }
}

/** A POST without a body says so: some registries want to be told. */
function lengthOf(method: string, body: SentBody | undefined): Record<string, string> {
  if (body === undefined && (method === 'GET' || method === 'HEAD')) return {};
  return { 'content-length': String(body?.sizeBytes ?? 0) };
}

async function send(body: AsyncIterable<Buffer>, request: http.ClientRequest): Promise<void> {
  try {
    for await (const chunk of body)
      if (!request.write(chunk))
        await new Promise<void>(resolve => request.once('drain', resolve).once('close', resolve));
    request.end();
  } catch (error) {
    request.destroy(error as Error);
  }
}

/** What the URL itself says: its scheme, and an address instead of a name. */
function checkDoor(url: URL, policy: RegistryPolicy): void {
  if (url.protocol === 'http:' && !policy.mayBePlain(url.host)) throw plainRefused(url.host);
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new RegistryError('refused', `${url.protocol}// is no way to a registry`);
  const address = addressIn(url.hostname);
  if (address !== null && !policy.mayLieAt(url.host, address)) throw placeRefused(url.host);
}

const plainRefused = (host: string): RegistryError =>
  new RegistryError(
    'refused',
    `${host} would be asked by plain HTTP; the operator can allow that: CUPOLA_REGISTRIES=http://${host}`,
  );
const placeRefused = (host: string): RegistryError =>
  new RegistryError('refused', `${host} has no public address; the operator can allow it: CUPOLA_REGISTRIES=${host}`);

/** Only addresses that are allowed are handed to the socket. */
function judged(host: string, policy: RegistryPolicy): LookupFunction {
  return (hostname, options, done) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) return done(error, '', 0);
      const allowed = found.filter(({ address }) => policy.mayLieAt(host, address));
      const first = allowed[0];
      if (first === undefined) return done(placeRefused(host), '', 0);
      if (options.all === true) return done(null, allowed);
      return done(null, first.address, first.family);
    });
  };
}

let known: string[] | null = null;
/** Those that Node.js brings, those of NODE_EXTRA_CA_CERTS, and this machine's: a company's registry is known by its own. */
function authorities(): string[] {
  known ??= [...new Set([...getCACertificates('default'), ...getCACertificates('system')])];
  return known;
}

function asTrouble(url: URL, error: NodeJS.ErrnoException): Error {
  if (error instanceof RegistryError || error.name === 'AbortError') return error;
  const code = error.code ?? '';
  if (TLS_TROUBLE.test(code))
    return new RegistryError(
      'unreachable',
      `${url.host} is not to be trusted (${error.message}): its certificate must be of an authority that the platform's machine knows; for one that speaks plain HTTP the operator writes CUPOLA_REGISTRIES=http://${url.host}`,
      { cause: error },
    );
  const why = code === 'ENOTFOUND' ? 'there is no such host' : code === '' ? error.message : code;
  return new RegistryError('unreachable', `${url.host} cannot be reached (${why})`, { cause: error });
}
