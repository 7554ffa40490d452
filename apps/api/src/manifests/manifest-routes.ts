/** Routes of a manifest: the list, or one of the three words (CF: manifest_routes_update_message.rb). */

import { type OptionRules, type RouteOptions, readRouteOptions } from '../routes/route-options.ts';
import { parseRouteUri, type RouteUri } from '../routes/route-uri.ts';
import { isObject, type Reader } from './reader.ts';

export interface ManifestRoute {
  /** As written, for messages. */
  text: string;
  uri: RouteUri;
  options: RouteOptions | null;
}
export interface ManifestRoutes {
  noRoute: boolean;
  randomRoute: boolean;
  defaultRoute: boolean;
  /** Null: not said. */
  list: ManifestRoute[] | null;
}

export function readRoutes(from: Reader, rules: OptionRules): ManifestRoutes {
  const { raw, errors } = from;
  const flag = (key: string, name: string): boolean => {
    const value = raw[key];
    if (value !== undefined && value !== null && typeof value !== 'boolean') errors.push(`${name} must be a boolean`);
    return value === true;
  };
  const routes = {
    noRoute: flag('no_route', 'No-route'),
    randomRoute: flag('random_route', 'Random-route'),
    defaultRoute: flag('default_route', 'Default-route'),
    list: readList(from, rules),
  };
  if (routes.randomRoute && routes.defaultRoute) errors.push('Random-route and default-route may not be used together');
  return routes;
}

function readList({ raw, errors, asked }: Reader, rules: OptionRules): ManifestRoute[] | null {
  if (!asked('routes') || raw.routes === null) return null;
  const given: unknown[] = Array.isArray(raw.routes) ? raw.routes : [null];
  const items = given.filter(item => isObject(item)).filter(({ route }) => typeof route === 'string' && route !== '');
  if (!Array.isArray(raw.routes) || items.length < given.length) {
    errors.push('Routes must be a list of route objects');
    return null;
  }
  return items.flatMap(item => {
    const text = String(item.route);
    const uri = parseRouteUri(text);
    if (uri === null) errors.push(`The route '${text}' is not a properly formed URL`);
    readProtocol(item.protocol, text, errors);
    const options = readOptions(item.options, text, { rules, errors });
    return uri === null ? [] : [{ text, uri, options }];
  });
}

function readProtocol(protocol: unknown, text: string, errors: string[]): void {
  if (protocol === undefined || protocol === null || protocol === 'http1') return;
  if (protocol === 'http2' || protocol === 'tcp')
    errors.push(
      `Route '${text}': ${protocol} is not supported yet. Leave \`protocol\` out: the app is asked by HTTP/1.1.`,
    );
  else errors.push("Route protocol must be 'http1', 'http2' or 'tcp'.");
}

function readOptions(
  given: unknown,
  text: string,
  { rules, errors }: { rules: OptionRules; errors: string[] },
): RouteOptions | null {
  if (given === undefined || given === null) return null;
  if (!isObject(given)) {
    errors.push(`Route '${text}': options must be an object`);
    return null;
  }
  const read = readRouteOptions(given, rules);
  for (const problem of read.problems) {
    if (problem.kind === 'unknown key')
      errors.push(`Route '${text}' contains invalid route option '${problem.key}'. Valid keys: '${problem.valid}'`);
    else if (problem.kind === 'hash') errors.push(`Route '${text}': ${problem.text}`);
    else
      errors.push(
        `Cannot use loadbalancing value '${String(problem.value)}' for Route '${text}'; Valid values are: '${problem.valid}'`,
      );
  }
  return read.options;
}
