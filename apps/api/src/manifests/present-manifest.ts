/** An app as a manifest that would make it again (CF: app_manifest_presenter.rb): its keys, their order, and no key without a value. */
import type { AppsTable, ProcessesTable, SidecarsTable } from '@cupola/store/schema';
import type { Selectable } from 'kysely';
import type { Variables } from '../apps/environment.ts';
import type { ShownMetadata } from '../apps/present-app.ts';
import { routeUri } from '../routes/present-route.ts';
import { formatBytes } from './size.ts';

export interface ManifestFacts {
  app: Selectable<AppsTable>;
  env: Variables;
  metadata: ShownMetadata;
  routes: ReadonlyArray<{ host: string; path: string; domain_name: string; protocol: string; options_json: string }>;
  processes: ReadonlyArray<Selectable<ProcessesTable>>;
  sidecars: ReadonlyArray<Selectable<SidecarsTable>>;
  /** Names of bound service instances. */
  services: readonly string[];
  /** Of the package that its droplet was staged from. */
  docker: { image?: string; username?: string };
}

export function presentManifestApp({
  app,
  env,
  metadata,
  routes,
  processes,
  services,
  sidecars,
  docker,
}: ManifestFacts): Record<string, unknown> {
  return {
    name: app.name,
    ...some('env', env),
    lifecycle: app.lifecycle_type,
    ...(app.lifecycle_type === 'docker'
      ? some('docker', docker)
      : { ...some('buildpacks', JSON.parse(app.buildpacks_json) as string[]), stack: app.stack }),
    features: {
      ssh: app.ssh_enabled === 1,
      revisions: app.revisions_enabled === 1,
      'service-binding-k8s': false,
      'file-based-vcap-services': false,
    },
    ...some(
      'routes',
      routes.map(presentRouteEntry).sort((a, b) => (a.route < b.route ? -1 : 1)),
    ),
    ...some(
      'services',
      [...services].sort((a, b) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1)),
    ),
    ...some('sidecars', sidecars.map(presentSidecarEntry)),
    ...some('metadata', { ...some('labels', metadata.labels), ...some('annotations', metadata.annotations) }),
    ...some('processes', [...processes].sort((a, b) => (a.type < b.type ? -1 : 1)).map(presentProcessEntry)),
  };
}

/** The key with its value, unless that is empty. */
function some(key: string, value: object): Record<string, unknown> {
  return Object.keys(value).length === 0 ? {} : { [key]: value };
}

function presentRouteEntry(route: ManifestFacts['routes'][number]) {
  return {
    route: routeUri(route).toLowerCase(),
    protocol: route.protocol,
    ...some('options', JSON.parse(route.options_json) as object),
  };
}

function presentSidecarEntry(sidecar: Selectable<SidecarsTable>): Record<string, unknown> {
  return {
    name: sidecar.name,
    process_types: JSON.parse(sidecar.process_types_json) as string[],
    command: sidecar.command,
    ...(sidecar.memory_mb === null ? {} : { memory: `${sidecar.memory_mb}M` }),
  };
}

function presentProcessEntry(process: Selectable<ProcessesTable>): Record<string, unknown> {
  const entry = {
    type: process.type,
    instances: process.instances,
    memory: `${process.memory_mb}M`,
    disk_quota: `${process.disk_mb}M`,
    'log-rate-limit-per-second': process.log_rate_limit_bytes === -1 ? -1 : formatBytes(process.log_rate_limit_bytes),
    command: process.command,
    'health-check-type': process.health_check_type,
    'health-check-http-endpoint': process.health_check_endpoint,
    'health-check-invocation-timeout': process.health_check_invocation_timeout_s,
    'health-check-interval': process.health_check_interval_s,
    'readiness-health-check-type': process.readiness_type,
    'readiness-health-check-http-endpoint': process.readiness_endpoint,
    'readiness-health-check-invocation-timeout': process.readiness_invocation_timeout_s,
    'readiness-health-check-interval': process.readiness_interval_s,
    timeout: process.health_check_timeout_s,
  };
  return Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== null));
}
