/**
 * The headers that an app gets: the client's, without those that end at a proxy and those that only the platform may set, then the platform's own. A name
 * spelled with underscores counts as the one with hyphens: WSGI, CGI and others turn both into the same variable (threats.md 17).
 */
import type { BlockList } from 'node:net';
import { isIPv6 } from 'node:net';
import type { Backend } from '../table/route-table.ts';
import type { RawRequest, ScreenedRequest } from './screen.ts';

/** End at each hop (RFC 9110 section 7.6.1); `expect` is answered here. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'http2-settings',
]);
/** Written anew below, or with the request's framing (request-writer.ts). */
const REWRITTEN = new Set(['host', 'content-length', 'x-request-start', 'x-forwarded-for', 'x-forwarded-proto']);
const SELECTORS = new Set(['x-cf-app-instance', 'x-cf-process-instance']);

/** Framing and routing words: an underscore variant of one of these is never meant well. */
const CRITICAL = new Set([...HOP_BY_HOP, ...REWRITTEN, 'forwarded']);

/** Whether a client's header of that lower-case name goes on to the app. */
function passes(name: string, trusted: boolean): boolean {
  if (SELECTORS.has(name)) return true;
  if (HOP_BY_HOP.has(name) || REWRITTEN.has(name)) return false;
  const plain = name.includes('_') ? name.replaceAll('_', '-') : name;
  if (plain !== name && CRITICAL.has(plain)) return false;
  if (plain.charCodeAt(0) !== 120 /* x */ && plain !== 'forwarded') return true;
  if (plain.startsWith('x-cf-') || plain.startsWith('x-vcap-') || plain === 'x-forwarded-client-cert') return false;
  // Hosts, ports and clients named by hops that we do not know would be believed by the app's framework.
  if (plain.startsWith('x-forwarded-') || plain === 'forwarded' || plain === 'x-real-ip') return trusted;
  return true;
}

export interface Hop {
  /** Address of the client's side of the connection. */
  readonly remoteAddress: string;
  /** It is a proxy of the operator, and may say for whom it asks. */
  readonly trusted: boolean;
  /** How it reached us. */
  readonly scheme: 'http' | 'https';
}

/** True when `address` is one of the operator's own proxies. */
export function isTrustedHop(hops: BlockList, address: string): boolean {
  return address !== '' && hops.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

/** What X-Forwarded-For and -Proto say to the app, also shown in the access log. */
export function forwarded(request: ScreenedRequest, hop: Hop): { forwardedFor: string; forwardedProto: string } {
  const before = hop.trusted && request.forwardedFor !== '' ? `${request.forwardedFor}, ` : '';
  const proto = hop.trusted && /^https?$/.test(request.forwardedProto) ? request.forwardedProto : hop.scheme;
  return { forwardedFor: `${before}${hop.remoteAddress}`, forwardedProto: proto };
}

export interface Origin extends Hop {
  readonly requestId: string;
  /** Epoch ms at which the request arrived. */
  readonly startedMs: number;
}

/** A flat list of names and values; the client's names keep their case. */
export function forwardHeaders(raw: RawRequest, request: ScreenedRequest, origin: Origin, backend: Backend): string[] {
  const { rawHeaders } = raw;
  const { names, nominated } = request;
  const headers: string[] = ['Host', request.authority];
  for (let at = 0; at < names.length; at++) {
    const name = names[at] as string;
    if (!passes(name, origin.trusted) || nominated?.has(name)) continue;
    headers.push(rawHeaders[at * 2] as string, rawHeaders[at * 2 + 1] as string);
  }
  const { forwardedFor, forwardedProto } = forwarded(request, origin);
  headers.push(
    'X-Forwarded-For',
    forwardedFor,
    'X-Forwarded-Proto',
    forwardedProto,
    'X-Request-Start',
    String(origin.startedMs),
    'X-Vcap-Request-Id',
    origin.requestId,
    'X-CF-ApplicationId',
    backend.destination.appGuid,
    'X-CF-InstanceId',
    backend.instanceGuid,
    'X-CF-InstanceIndex',
    String(backend.index),
  );
  return headers;
}

const RESPONSE_HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'te',
  'transfer-encoding',
  'upgrade',
  // Only the router says these, so that they can be believed.
  'x-cf-routererror',
  'x-vcap-request-id',
]);

export interface ResponseHeaders {
  /** A flat list for the client. */
  readonly headers: string[];
  readonly setCookies: readonly string[];
  /** Null when there is none. */
  readonly contentLength: number | null;
}

/** The app's answer headers without those that end here. `Trailer` stays only where trailers can follow. */
export function backwardHeaders(
  raw: readonly string[],
  { trailers, requestId }: { trailers: boolean; requestId: string },
): ResponseHeaders {
  const headers: string[] = [];
  const setCookies: string[] = [];
  let contentLength: number | null = null;
  let nominated: Set<string> | null = null;
  for (let at = 0; at < raw.length; at += 2)
    if ((raw[at] as string).toLowerCase() === 'connection')
      nominated = new Set([
        ...(nominated ?? []),
        ...(raw[at + 1] as string)
          .toLowerCase()
          .split(',')
          .map(name => name.trim()),
      ]);
  nominated?.delete('content-length');
  for (let at = 0; at < raw.length; at += 2) {
    const name = (raw[at] as string).toLowerCase();
    const value = raw[at + 1] as string;
    if (RESPONSE_HOP_BY_HOP.has(name) || nominated?.has(name)) continue;
    if (name === 'trailer' && !trailers) continue;
    if (name === 'set-cookie') setCookies.push(value);
    else if (name === 'content-length') contentLength = Number(value);
    headers.push(raw[at] as string, value);
  }
  headers.push('X-Vcap-Request-Id', requestId);
  return { headers, setCookies, contentLength };
}
