/** Options of a route: how the router chooses among its copies (CF: route_options_message.rb). */

export const LOAD_BALANCING = ['round-robin', 'least-connection'] as const;

/** Null takes an option away. */
export type RouteOptions = { loadbalancing?: (typeof LOAD_BALANCING)[number] | null };

export type OptionProblem =
  | { kind: 'unknown key'; key: string; valid: string }
  | { kind: 'bad value'; value: unknown; valid: string };

export function readRouteOptions(given: Record<string, unknown>): { options: RouteOptions; problems: OptionProblem[] } {
  const options: RouteOptions = {};
  const problems: OptionProblem[] = [];
  for (const [key, value] of Object.entries(given)) {
    const known = LOAD_BALANCING.find(name => name === value);
    if (key !== 'loadbalancing') problems.push({ kind: 'unknown key', key, valid: 'loadbalancing' });
    else if (value === null) options.loadbalancing = null;
    else if (known === undefined) problems.push({ kind: 'bad value', value, valid: LOAD_BALANCING.join(', ') });
    else options.loadbalancing = known;
  }
  return { options, problems };
}

/** Merges: null removes. */
export function mergeOptions(present: Record<string, string>, changes: RouteOptions): Record<string, string> {
  const merged: Record<string, unknown> = { ...present, ...changes };
  return Object.fromEntries(
    Object.entries(merged).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}
