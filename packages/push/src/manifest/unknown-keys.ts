/** Keys of a manifest that nobody reads: Cloud Foundry passes over them without a word, so a typo goes unnoticed until the app has the wrong size. */
import { didYouMean } from '../near.ts';

const OF_PROCESS = [
  ...[
    'command',
    'disk-quota',
    'health-check-http-endpoint',
    'health-check-interval',
    'health-check-invocation-timeout',
  ],
  ...['health-check-type', 'instances', 'log-rate-limit-per-second', 'memory', 'readiness-health-check-http-endpoint'],
  ...[
    'readiness-health-check-interval',
    'readiness-health-check-invocation-timeout',
    'readiness-health-check-type',
    'timeout',
  ],
];
/** CF: app_manifest_message.rb and manifest_process_*_message.rb of cloud_controller_ng; `path` is the CLI's. */
const OF_APP = [
  ...OF_PROCESS,
  ...[
    'buildpack',
    'buildpacks',
    'cnb-credentials',
    'default-route',
    'docker',
    'env',
    'features',
    'lifecycle',
    'metadata',
  ],
  ...['name', 'no-route', 'path', 'processes', 'random-route', 'routes', 'services', 'sidecars', 'stack'],
  // Of old manifests, refused or explained elsewhere.
  ...['domain', 'domains', 'host', 'hosts', 'no-hostname', 'inherit'],
];

/** A sentence for each. */
export function unknownKeys(app: Readonly<Record<string, unknown>>): string[] {
  const processes = Array.isArray(app.processes)
    ? app.processes.filter(one => typeof one === 'object' && one !== null)
    : [];
  return [
    ...unknownOf(app, OF_APP, 'an app'),
    ...processes.flatMap((process: object) => unknownOf(process, ['type', ...OF_PROCESS], 'a process')),
  ];
}

function unknownOf(given: object, known: readonly string[], what: string): string[] {
  return Object.keys(given).flatMap(key => {
    const dashed = key
      .replace(/([a-z\d])([A-Z])/g, '$1-$2')
      .replaceAll('_', '-')
      .toLowerCase();
    if (known.includes(dashed)) return [];
    const near = didYouMean(dashed, known);
    return [`"${key}" is no key of ${what}: it does nothing.${near === null ? '' : ` ${near}`}`];
  });
}
