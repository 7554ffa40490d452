/**
 * Options of a route: how the router chooses among its copies (CF: route_options_message.rb, models/runtime/route.rb). By the value of a header
 * (`hash`) only while the feature flag `hash_based_routing` is on; routes that have it keep it when the flag goes off.
 */
import { UnprocessableError } from '@cupola/model/errors';
import type { Database } from '@cupola/store/schema';
import type { Kysely } from 'kysely';
import { isFlagOn } from '../flags/flags.ts';

/** CF's. */
const HASH_HEADER_MAX = 128;
const HASH_BALANCE_MAX = 16;

/** Null takes an option away. */
export interface RouteOptions {
  loadbalancing?: string | null;
  /** The header whose value chooses. */
  hash_header?: string | null;
  /** How many times the average a copy may have to do before the next one is asked; 0: any number. */
  hash_balance?: string | null;
}

/** What the feature flags allow. */
export interface OptionRules {
  byHash: boolean;
}

export type OptionProblem =
  | { kind: 'unknown key'; key: string; valid: string }
  | { kind: 'bad value'; value: unknown; valid: string }
  | { kind: 'hash'; text: string };

export async function optionRules(db: Kysely<Database>): Promise<OptionRules> {
  return { byHash: await isFlagOn(db, 'hash_based_routing') };
}

export function readRouteOptions(
  given: Record<string, unknown>,
  { byHash }: OptionRules,
): { options: RouteOptions; problems: OptionProblem[] } {
  const algorithms = ['round-robin', 'least-connection', ...(byHash ? ['hash'] : [])];
  const keys = ['loadbalancing', ...(byHash ? ['hash_header', 'hash_balance'] : [])];
  const options: RouteOptions = {};
  const problems: OptionProblem[] = [];
  const read: Record<string, (value: unknown) => void> = {
    loadbalancing: value => {
      const known = algorithms.find(name => name === value);
      if (value === null) options.loadbalancing = null;
      else if (known === undefined) problems.push({ kind: 'bad value', value, valid: algorithms.join(', ') });
      else options.loadbalancing = known;
    },
    hash_header: value => {
      options.hash_header = textOf(value);
      if ((options.hash_header ?? '').length > HASH_HEADER_MAX)
        problems.push({ kind: 'hash', text: `Hash header must be at most ${HASH_HEADER_MAX} characters` });
    },
    hash_balance: value => {
      options.hash_balance = textOf(value);
      const text = options.hash_balance === null ? null : balanceProblem(options.hash_balance);
      if (text !== null) problems.push({ kind: 'hash', text });
    },
  };
  for (const [key, value] of Object.entries(given))
    if (keys.includes(key)) read[key]?.(value);
    else problems.push({ kind: 'unknown key', key, valid: keys.join(', ') });
  problems.push(...misplaced(options));
  return { options, problems };
}

/** Numbers become text, as CF has them; nothing is no option. */
function textOf(value: unknown): string | null {
  if (value === null || value === '') return null;
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function balanceProblem(text: string): string | null {
  if (text.length > HASH_BALANCE_MAX) return `Hash balance must be at most ${HASH_BALANCE_MAX} characters`;
  const factor = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isNaN(factor)) return 'Hash balance must be a numeric value';
  return factor === 0 || (factor >= 1.1 && factor <= 10)
    ? null
    : 'Hash balance must be either 0 or between 1.1 and 10.0';
}

function misplaced({ loadbalancing, hash_header, hash_balance }: RouteOptions): OptionProblem[] {
  if (loadbalancing === undefined || loadbalancing === null || loadbalancing === 'hash') return [];
  const names = [
    ...(typeof hash_header === 'string' ? ['Hash header'] : []),
    ...(typeof hash_balance === 'string' ? ['Hash balance'] : []),
  ];
  return names.map(name => ({ kind: 'hash', text: `${name} can only be set when loadbalancing is hash` }));
}

/**
 * Merges: null removes; what belongs to `hash` goes with it.
 * @throws UnprocessableError for `hash` without its header.
 */
export function mergeOptions(present: Record<string, string>, changes: RouteOptions): Record<string, string> {
  const { loadbalancing, hash_header, hash_balance } = { ...present, ...changes } as RouteOptions;
  if (typeof loadbalancing !== 'string') return {};
  if (loadbalancing !== 'hash') return { loadbalancing };
  if (typeof hash_header !== 'string')
    throw new UnprocessableError('Hash header must be present when loadbalancing is set to hash.');
  if (typeof hash_balance !== 'string') return { loadbalancing, hash_header };
  return { loadbalancing, hash_header, hash_balance: Number(hash_balance).toFixed(1) };
}
