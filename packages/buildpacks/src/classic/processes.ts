/** What buildpacks say about processes: the YAML that `bin/release` prints, and `launch.yml` in their folder of dependencies. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { StagingFailedError } from '@cupola/model/errors';
import { sentence } from '@cupola/model/sentence';

export interface Sidecar {
  name: string;
  processTypes: string[];
  command: string;
}
export interface Launch {
  processTypes: Record<string, string>;
  sidecars: Sidecar[];
}

/** Larger ones are no list of commands. */
const FILE_MAX_BYTES = 256 * 1024;

const asObject = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};

async function readYaml(text: string, what: string): Promise<Record<string, unknown>> {
  const { parse } = await import('yaml');
  try {
    if (text.length > FILE_MAX_BYTES) throw new Error('it is too large');
    return asObject(parse(text, { maxAliasCount: 0 }));
  } catch (error) {
    const why = (error as Error).message.split('\n')[0];
    throw new StagingFailedError('BuildpackReleaseFailed', sentence(`${what} is no YAML that can be read: ${why}`));
  }
}

/** `default_process_types` of a release. @throws StagingFailedError */
export async function readRelease(text: string, buildpack: string): Promise<Record<string, string>> {
  const { default_process_types } = await readYaml(text, `What bin/release of buildpack "${buildpack}" prints`);
  return Object.fromEntries(
    Object.entries(asObject(default_process_types)).flatMap(([type, command]) =>
      typeof command === 'string' && command.trim() !== '' ? [[type, command.trim()]] : [],
    ),
  );
}

/** `launch.yml` of one buildpack; empty where there is none. Processes with `sidecar_for` run beside those types, in their instances. @throws StagingFailedError */
export async function readLaunch(deps: string): Promise<Launch> {
  const file = join(deps, 'launch.yml');
  const launch: Launch = { processTypes: {}, sidecars: [] };
  if (!existsSync(file) || !statSync(file).isFile()) return launch;
  const { processes } = await readYaml(readFileSync(file, 'utf8'), 'The launch.yml of a buildpack');
  for (const one of Array.isArray(processes) ? processes : []) {
    const { type, command, platforms } = asObject(one);
    if (typeof type !== 'string' || typeof command !== 'string') continue;
    const { sidecar_for } = asObject(asObject(platforms).cloudfoundry);
    const types = (Array.isArray(sidecar_for) ? sidecar_for : []).filter(item => typeof item === 'string');
    if (types.length > 0) launch.sidecars.push({ name: type, processTypes: types, command });
    else launch.processTypes[type] = command;
  }
  return launch;
}
