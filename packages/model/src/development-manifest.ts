/** What of a manifest counts for a development app: how it is built and started, and what it is told; not whom it serves, nor with what. */

const KEPT = new Set(
  'name path buildpack buildpacks stack lifecycle env memory disk-quota log-rate-limit-per-second timeout metadata'.split(
    ' ',
  ),
);
/** Of its web process, where that is described by itself. */
const KEPT_OF_WEB = new Set('command memory disk-quota log-rate-limit-per-second timeout'.split(' '));
/** Left out without a word: another takes their place, or nobody misses them. */
const REPLACED = /^(?:instances|type|default-route|no-route|random-route|(?:readiness-)?health-check-[a-z-]+)$/;

export interface DevelopmentManifest {
  readonly entry: Record<string, unknown>;
  /** Names of services, as the manifest has them. */
  readonly services: readonly string[];
  /** Other keys that somebody may miss. */
  readonly leftOut: readonly string[];
}

interface Developing {
  /** Variables that it has unless the manifest says otherwise. */
  readonly variables: Readonly<Record<string, string>>;
}

/** A manifest's entry as the development app beside it has it. An allow-list, as for previews. */
export function developmentManifest(
  entry: Readonly<Record<string, unknown>>,
  { variables }: Developing,
): DevelopmentManifest {
  const kept: Record<string, unknown> = {};
  const leftOut = new Set<string>();
  // What a former run has set counts no more.
  let command: unknown = null;
  for (const [key, value] of Object.entries(entry)) {
    const name = key.replaceAll('_', '-');
    if (name === 'command') command = value;
    else if (name === 'processes') for (const one of listOf(value)) ofProcess(asMap(one));
    else if (KEPT.has(name)) kept[name] = value;
    else if (name !== 'services' && !REPLACED.test(name)) leftOut.add(key);
  }
  function ofProcess(process: Record<string, unknown>): void {
    if (process.type !== 'web') leftOut.add(`process ${String(process.type)}`);
    else
      for (const [key, value] of Object.entries(process)) {
        const name = key.replaceAll('_', '-');
        if (name === 'command') command = value;
        else if (KEPT_OF_WEB.has(name)) kept[name] = value;
      }
  }
  return {
    entry: {
      ...kept,
      command: command ?? null,
      env: { ...variables, ...asMap(kept.env) },
      instances: 1,
      'health-check-type': 'process',
    },
    services: listOf(entry.services).flatMap(one => {
      const name = typeof one === 'string' ? one : asMap(one).name;
      return typeof name === 'string' ? [name] : [];
    }),
    leftOut: [...leftOut],
  };
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const asMap = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
