/**
 * What applying a manifest would change, for `cf push` to show (CF: space_diff_manifest.rb). Only what the manifest says is compared: nothing that it is
 * silent about changes, and env, metadata and routes are merged, so nothing of them is shown as removed. Paths point into the manifest as sent.
 */
import { parseRouteUri } from '../routes/route-uri.ts';
import { isObject, type Raw } from './reader.ts';
import { formatBytes, parseLogRate, parseSizeMb } from './size.ts';

export interface ManifestDiff {
  op: 'add' | 'replace' | 'remove';
  path: string;
  was?: unknown;
  value?: unknown;
}

/** CF's keys, in one spelling. What is none of them (`path`, `version`) is not compared. */
const KEYS = new Set(
  `buildpack buildpacks command default_route disk_quota docker env features health_check_http_endpoint health_check_interval
  health_check_invocation_timeout health_check_type instances lifecycle log_rate_limit_per_second memory metadata name no_route processes random_route
  readiness_health_check_http_endpoint readiness_health_check_interval readiness_health_check_invocation_timeout readiness_health_check_type routes services
  sidecars stack timeout`.split(/\s+/),
);
/** By what an element of a list is known. */
const IDENTIFIERS: Record<string, string> = { processes: 'type', routes: 'route', sidecars: 'name' };
/** Of services: bound ones stay, whatever their order or the name of their binding. */
const serviceName = (item: unknown): unknown => (isObject(item) ? item.name : item);

/** `existing`: the app as `presentManifestApp` shows it; null when the manifest will make it. */
export function diffManifestApp(index: number, sent: Raw, existing: Raw | null): ManifestDiff[] {
  const present = existing === null ? {} : withWebProcess(existing);
  return Object.entries(sent).flatMap(([key, value]) =>
    KEYS.has(canonical(key))
      ? diffValue(`/applications/${index}/${key}`, canonical(key), {
          before: present[canonical(key)],
          after: normalized(canonical(key), value),
        })
      : [],
  );
}

const canonical = (key: string): string => key.replaceAll('-', '_').toLowerCase();

/** What stands at the app's level of a manifest is its web process's. */
function withWebProcess(existing: Raw): Raw {
  const processes = Array.isArray(existing.processes) ? existing.processes.filter(isObject) : [];
  return canonicalKeys({ ...existing, ...processes.find(({ type }) => type === 'web') });
}

function canonicalKeys(raw: Raw): Raw {
  return Object.fromEntries(Object.entries(raw).map(([key, value]) => [canonical(key), value]));
}

/** Sizes in one unit, texts as text: `1G` and `1024M` are no difference. What cannot be read is left as it is: validation has refused it. */
function normalized(key: string, value: unknown): unknown {
  if (value === null || value === undefined) return value;
  if (key === 'memory' || key === 'disk_quota') {
    const size = parseSizeMb(value, key);
    return 'mb' in size ? `${size.mb}M` : value;
  }
  if (key === 'log_rate_limit_per_second') {
    const rate = parseLogRate(value, key);
    return 'bytes' in rate ? (rate.bytes === -1 ? -1 : formatBytes(rate.bytes)) : value;
  }
  if (key === 'env' && isObject(value))
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [name, typeof item === 'object' ? item : String(item)]),
    );
  return value;
}

interface Pair {
  before: unknown;
  after: unknown;
}

function diffValue(path: string, key: string, { before, after }: Pair): ManifestDiff[] {
  if (isSame(before, after)) return [];
  if (before === undefined || before === null) return [{ op: 'add', path, value: after }];
  if (isObject(before) && isObject(after)) return diffObject(path, before, after);
  if (key === 'services' && Array.isArray(before) && Array.isArray(after)) return diffServices(path, before, after);
  if (Array.isArray(before) && Array.isArray(after)) {
    const identifier = IDENTIFIERS[key];
    return identifier === undefined
      ? diffList(path, before, after)
      : diffKnown(path, identifier, before.filter(isObject), after);
  }
  return [{ op: 'replace', path, was: before, value: after }];
}

function diffObject(path: string, before: Raw, after: Raw): ManifestDiff[] {
  const isProcess = typeof before.type === 'string';
  const present = isProcess ? canonicalKeys(before) : before;
  return Object.entries(after).flatMap(([name, value]) => {
    const key = isProcess ? canonical(name) : name;
    return diffValue(`${path}/${name}`, key, {
      before: present[key],
      after: isProcess ? normalized(key, value) : value,
    });
  });
}

function diffServices(path: string, before: unknown[], after: unknown[]): ManifestDiff[] {
  return after.flatMap((item, at): ManifestDiff[] =>
    before.includes(serviceName(item)) ? [] : [{ op: 'add', path: `${path}/${at}`, value: item }],
  );
}

function diffKnown(path: string, identifier: string, before: Raw[], after: unknown[]): ManifestDiff[] {
  return after.flatMap((item, at) => {
    const own = isObject(item)
      ? before.find(other => identity(identifier, other) === identity(identifier, item))
      : undefined;
    if (own === undefined || !isObject(item)) return [{ op: 'add' as const, path: `${path}/${at}`, value: item }];
    return diffObject(`${path}/${at}`, own, { ...item, [identifier]: own[identifier] });
  });
}

function identity(identifier: string, item: Raw): unknown {
  const value = item[identifier];
  if (identifier !== 'route' || typeof value !== 'string') return value;
  const uri = parseRouteUri(value);
  return uri === null ? value : `${uri.name}${uri.path.toLowerCase()}`;
}

/** A plain list is replaced as a whole: place by place, what is beyond its end goes. */
function diffList(path: string, before: unknown[], after: unknown[]): ManifestDiff[] {
  const changes = after.flatMap((item, at) => diffValue(`${path}/${at}`, '', { before: before[at], after: item }));
  const surplus = before.slice(after.length).map(
    (item, at): ManifestDiff => ({
      op: 'remove',
      path: `${path}/${after.length + at}`,
      was: item,
    }),
  );
  return [...changes, ...surplus];
}

function isSame(before: unknown, after: unknown): boolean {
  if ((before ?? null) === (after ?? null)) return true;
  return JSON.stringify(before) === JSON.stringify(after);
}
