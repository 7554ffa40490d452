/**
 * The operator's own npm: which registry, which proxy, which tokens are in its settings, so it alone speaks to registries on our side. Runs in an empty
 * folder, without scripts, never on anything of an app's.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const LOOK_UP_MS = 30_000;
const FETCH_MS = 600_000;
const OUTPUT_MAX_BYTES = 64 * 1024 * 1024;

/** Settings that a build needs to reach the same registries. Tokens and passwords are left out: any code of an app could read them. */
const SHARED_SETTINGS = ['registry', 'proxy', 'https-proxy', 'noproxy', 'strict-ssl', 'cafile', 'ca'] as const;

export interface NpmClient {
  /** All versions of a package. @throws Error when the registry has none, or is away. */
  versions(name: string): Promise<string[]>;
  /** Fetches a package into an empty folder, checked by the integrity value of the registry. Resolves to the archive's path. */
  fetch(name: string, version: string, folder: string): Promise<string>;
  /** Lines of an .npmrc with what a build may know, and the file of additional certificates if there is one. */
  settings(): Promise<{ npmrc: string; cafile: string | null }>;
}

/** `signal` ends every npm that runs. */
export function openNpmClient(signal: AbortSignal): NpmClient {
  const npm = (args: string[], timeout: number): Promise<string> => runNpm(args, { timeout, signal });
  return {
    versions: async name => {
      const found: unknown = JSON.parse(await npm(['view', name, 'versions', '--json'], LOOK_UP_MS));
      return [found].flat().filter(version => typeof version === 'string');
    },
    fetch: async (name, version, folder) => {
      await npm(['pack', `${name}@${version}`, '--ignore-scripts', '--pack-destination', folder], FETCH_MS);
      const [file] = await readdir(folder);
      if (file === undefined) throw new Error(`npm fetched nothing for ${name}@${version}`);
      return join(folder, file);
    },
    settings: async () =>
      shareable(JSON.parse(await npm(['config', 'list', '--json'], LOOK_UP_MS)) as Record<string, unknown>),
  };
}

/** What it printed. @throws Error with npm's own words. */
async function runNpm(args: string[], limits: { timeout: number; signal: AbortSignal }): Promise<string> {
  const cwd = await mkdtemp(join(tmpdir(), 'cupola-npm-'));
  try {
    return await new Promise<string>((resolve, reject) => {
      execFile(
        'npm',
        [...args, '--loglevel=error', '--no-update-notifier'],
        { ...limits, cwd, maxBuffer: OUTPUT_MAX_BYTES },
        (error, stdout, stderr) => {
          if (error === null) resolve(stdout);
          else
            reject(new Error(`npm ${args[0]} ${args[1]} failed: ${stderr.trim() || error.message}`, { cause: error }));
        },
      );
    });
  } finally {
    await rm(cwd, { recursive: true, force: true });
  }
}

/** Exported for its test. */
export function shareable(config: Record<string, unknown>): { npmrc: string; cafile: string | null } {
  const cafile = typeof config.cafile === 'string' ? config.cafile : null;
  const lines = Object.entries(config).flatMap(([name, value]) => {
    const isShared = (SHARED_SETTINGS as readonly string[]).includes(name) || /^@[\w.-]+:registry$/.test(name);
    if (!isShared || value === null || value === undefined || value === '' || name === 'cafile') return [];
    const values = Array.isArray(value) ? value : [value];
    return values.map(
      one => `${name}${Array.isArray(value) ? '[]' : ''}=${withoutLogin(String(one)).replaceAll('\n', '\\n')}`,
    );
  });
  return { npmrc: `${lines.join('\n')}\n`, cafile };
}

/** A registry's address may carry a user and password; a proxy's too. Only the proxy's is needed to get out at all, and is left. */
function withoutLogin(value: string): string {
  return value.replace(/^(https?:\/\/)[^/@]*@(?=.*registry)/, '$1');
}
