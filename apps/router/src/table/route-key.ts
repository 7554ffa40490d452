/**
 * What a request's Host and path say about its route. Hosts compare without case, port and one trailing dot; paths without case (Cloud Controller keeps
 * a route's path unique without case, gorouter looks it up so) and on segment borders: `/shop` serves `/shop` and `/shop/1`, never `/shopping`.
 */

export type HostReading =
  | { readonly host: string }
  /** `empty`: none, or an address instead of a name. `malformed`: not a host at all. */
  | { readonly refused: 'empty' | 'malformed' };

const NAME = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/;
/** A last label that is a number makes the whole an IPv4 address in one of its spellings (URL standard): `1.2.3.4`, `2130706433`, `0x7f.1`. */
const ENDS_IN_NUMBER = /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/;
const HOST_MAX = 253;

/** Reads a Host header. Never guesses: what is no plain host name is refused. */
export function readHost(header: string): HostReading {
  let host = header;
  if (host.startsWith('[')) return { refused: /^\[[0-9a-fA-F:.]+\](?::\d{0,5})?$/.test(host) ? 'empty' : 'malformed' };
  const colon = host.indexOf(':');
  if (colon >= 0) {
    if (!/^:\d{0,5}$/.test(host.slice(colon))) return { refused: 'malformed' };
    host = host.slice(0, colon);
  }
  if (host.endsWith('.')) host = host.slice(0, -1);
  if (host === '') return { refused: 'empty' };
  host = host.toLowerCase();
  if (host.length > HOST_MAX || !NAME.test(host)) return { refused: 'malformed' };
  if (ENDS_IN_NUMBER.test(host)) return { refused: 'empty' };
  return { host };
}

/** The key under which a route's host lies in the table: `app.example.com`, `*.example.com`, or the bare domain. */
export function hostKey(host: string, domain: string): string {
  return (host === '' ? domain : `${host}.${domain}`).toLowerCase();
}

/** A route's path as keyed: lower case, without a slash at its end; '' serves every path. */
export function pathKey(path: string): string {
  let key = path.toLowerCase();
  while (key.endsWith('/')) key = key.slice(0, -1);
  return key;
}

/** The path of a request target, without query and fragment, as far as a route of `maxLength` could match it. */
export function requestPath(target: string, maxLength: number): string {
  let end = Math.min(target.length, maxLength + 1);
  for (let at = 0; at < end; at++) {
    const char = target.charCodeAt(at);
    if (char === 63 /* ? */ || char === 35 /* # */) {
      end = at;
      break;
    }
  }
  return target.slice(0, end).toLowerCase();
}

/** Wildcard keys that cover `host`, nearest first: `a.b.c` gives `*.b.c`, `*.c`. */
export function* wildcards(host: string): Generator<string> {
  for (let dot = host.indexOf('.'); dot >= 0; dot = host.indexOf('.', dot + 1)) yield `*${host.slice(dot)}`;
}
