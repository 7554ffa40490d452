/** A route as manifests write it: `[http://]HOST.DOMAIN[:PORT][/PATH]`. Which part is host and which domain only the known domains can say. */

export interface RouteUri {
  /** Host and domain, lower case. */
  name: string;
  /** Empty, or begins with `/`. */
  path: string;
  port: number | null;
}

const URI = /^(?:([a-z][a-z0-9+.-]*):\/\/)?([^/:?#\s]+)(?::(\d{1,5}))?(\/[^?#\s]*)?$/i;
const SCHEMES = ['http', 'https', 'tcp'];

/** Null when it is no route. A lone `/` as path is no path. */
export function parseRouteUri(text: string): RouteUri | null {
  const match = URI.exec(text.trim());
  if (match === null) return null;
  const [, scheme, name = '', port, path = ''] = match;
  if (scheme !== undefined && !SCHEMES.includes(scheme.toLowerCase())) return null;
  if (!/^(?:\*|[\w-]+)(?:\.[\w-]+)*\.?$/.test(name)) return null;
  const portNumber = port === undefined ? null : Number(port);
  if (portNumber !== null && (portNumber < 1 || portNumber > 65_535)) return null;
  return {
    name: name.toLowerCase().replace(/\.$/, ''),
    path: path === '/' ? '' : path,
    port: portNumber,
  };
}

/** The ways to cut it, in CF's order: all of it a domain (not for a wildcard), else the first label its host. */
export function candidates({ name }: RouteUri): Array<{ host: string; domain: string }> {
  const dot = name.indexOf('.');
  const cut = dot < 0 ? [] : [{ host: name.slice(0, dot), domain: name.slice(dot + 1) }];
  return name.startsWith('*') ? cut : [{ host: '', domain: name }, ...cut];
}
