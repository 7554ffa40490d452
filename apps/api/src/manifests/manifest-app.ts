/**
 * One application of a manifest, judged whole: every error in Cloud Controller's words, and what it asks for in a form that applying needs no more checks
 * for (CF: app_manifest_message.rb). Keys are taken with dashes and with underscores. What is no key of CF's is ignored, as CF does (`path`, `version`).
 */

import type { CreateSidecar } from '@cupola/contract/v3/sidecar';
import { variableErrors } from '../apps/environment.ts';
import { HIDDEN } from '../apps/log-line.ts';
import type { OptionRules } from '../routes/route-options.ts';
import { type ManifestDocker, readDocker } from './manifest-docker.ts';
import { readBuildpacks, readFeatures } from './manifest-lifecycle.ts';
import { type ManifestProcess, readProcesses } from './manifest-processes.ts';
import { type ManifestRoutes, readRoutes } from './manifest-routes.ts';
import { type ManifestService, readServices } from './manifest-services.ts';
import { readSidecars } from './manifest-sidecars.ts';
import { refuseUnbuilt } from './manifest-unbuilt.ts';
import { isObject, type Raw, type Reader, reader, underscoreKeys } from './reader.ts';

export interface ManifestApp {
  name: string;
  /** Null: not said. An empty list: detect. */
  buildpacks: string[] | null;
  stack: string | null;
  /** Null: not said. */
  docker: ManifestDocker | null;
  env: Record<string, string> | null;
  features: Record<string, boolean>;
  metadata: { labels?: unknown; annotations?: unknown } | null;
  processes: ManifestProcess[];
  routes: ManifestRoutes;
  services: ManifestService[];
  sidecars: CreateSidecar[];
  /** As it was sent, for the audit event; secrets hidden. */
  audit: Record<string, unknown>;
}

/** `errors` is empty when `app` may be applied. `rules`: what the feature flags allow of routes. */
export function readManifestApp(sent: unknown, rules: OptionRules): { app: ManifestApp; errors: string[] } {
  const errors: string[] = [];
  const original = isObject(sent) ? sent : {};
  if (!isObject(sent)) errors.push('must be an object with a name');
  const from = reader(underscoreKeys(original), errors);
  const app: ManifestApp = {
    name: readName(from),
    processes: readProcesses(from),
    buildpacks: readBuildpacks(from),
    stack: readStack(from),
    docker: readDocker(from),
    env: readEnv(from),
    routes: readRoutes(from, rules),
    services: readServices(from),
    sidecars: readSidecars(from),
    features: readFeatures(from),
    metadata: readMetadata(from),
    audit: audited(original),
  };
  refuseUnbuilt(from);
  return { app, errors };
}

function readName({ raw, errors }: Reader): string {
  if (raw.name === undefined || raw.name === null || raw.name === '') errors.push('Name must not be empty');
  else if (typeof raw.name !== 'string' && typeof raw.name !== 'number') errors.push('Name must be a string');
  else if (String(raw.name).length > 255) errors.push('Name is too long (maximum is 255 characters)');
  else return String(raw.name);
  return '';
}

function readStack({ raw, errors, asked }: Reader): string | null {
  if (!asked('stack') || raw.stack === null) return null;
  if (typeof raw.stack === 'string' && raw.stack !== '') return raw.stack;
  errors.push('Stack must be a string');
  return null;
}

/** YAML's numbers and booleans become text, an empty value the empty text. */
function readEnv({ raw, errors, asked }: Reader): Record<string, string> | null {
  if (!asked('env') || raw.env === null) return null;
  if (!isObject(raw.env)) {
    errors.push('Env must be an object of keys and values');
    return null;
  }
  const env = Object.fromEntries(Object.entries(raw.env).map(([name, value]) => [name, valueText(value)]));
  errors.push(...variableErrors(env, 'Env'));
  return env;
}

function valueText(value: unknown): string {
  if (value === null || value === undefined) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

function readMetadata({ raw, errors, asked }: Reader): ManifestApp['metadata'] {
  if (!asked('metadata') || raw.metadata === null) return null;
  if (!isObject(raw.metadata)) {
    errors.push('Metadata must be an object');
    return null;
  }
  const unknown = Object.keys(raw.metadata).filter(key => key !== 'labels' && key !== 'annotations');
  if (unknown.length > 0) errors.push(`Metadata has unexpected field(s): '${unknown.join("' '")}'`);
  for (const part of ['labels', 'annotations'] as const) {
    const given = raw.metadata[part];
    if (given !== undefined && given !== null && !isObject(given)) errors.push(`Metadata '${part}' is not an object`);
  }
  return raw.metadata;
}

const SECRETS = /^(?:env|command|cnb[-_]credentials)$/i;

/** Variables and commands are for developers; events and logs are for auditors too. Those of processes are a level down. */
function audited(original: Raw): Raw {
  const entries = Object.entries(original).map(([key, value]) => {
    if (SECRETS.test(key) && value !== null) return [key, HIDDEN];
    const isProcesses = (key === 'processes' || key === 'sidecars') && Array.isArray(value);
    return [key, isProcesses ? value.map(item => (isObject(item) ? audited(item) : item)) : value];
  });
  return Object.fromEntries(entries);
}
