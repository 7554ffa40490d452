/**
 * Where the dashboard's files are. An image brings them along (`CUPOLA_DASHBOARD`); a checkout has sources only, and nothing is built at its start: the first
 * request below `/dashboard` has a child build them (scripts/dashboard.ts), into a folder named by the hash of all that they are made of.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { ApiDeps } from '../deps.ts';

type Found = { state: 'there'; folder: string } | { state: 'making' | 'failed' };

export interface Build {
  /** Begins a build when there is none; one at a time. */
  folder(): Promise<Found>;
}

const ROOT = join(import.meta.dirname, '../../../..');
const SOURCES = [
  'apps/dashboard/{index.html,package.json}',
  'apps/dashboard/src/**/*.{ts,tsx,css,svg}',
  'packages/{contract,model}/src/**/*.ts',
  'packages/push/src/files/ignore.ts',
  'scripts/dashboard.ts',
  'package-lock.json',
];
const KEPT_OUTPUT_CHARS = 4_000;
/** Found after this, a build that failed is tried once more with the next request. */
const FAILED_FOR_MS = 10_000;

export function createBuild({ built, folder }: ApiDeps['config']['dashboard'], log: ApiDeps['log']): Build {
  if (built !== null) return { folder: async () => ({ state: 'there', folder: built }) };
  let target: string | null = null;
  let making = false;
  let failedAt = Number.NEGATIVE_INFINITY;
  return {
    folder: async () => {
      target ??= join(folder, hashOfSources());
      if (existsSync(join(target, 'index.html'))) return { state: 'there', folder: target };
      if (performance.now() - failedAt < FAILED_FOR_MS) return { state: 'failed' };
      if (making) return { state: 'making' };
      making = true;
      make(folder, target).then(
        () => {
          making = false;
        },
        (error: unknown) => {
          making = false;
          failedAt = performance.now();
          log.error({ err: error }, 'the dashboard could not be built');
        },
      );
      return { state: 'making' };
    },
  };
}

function hashOfSources(): string {
  const hash = createHash('sha256');
  for (const file of globSync(SOURCES, { cwd: ROOT }).sort()) {
    if (file.endsWith('.test.ts') || file.endsWith('.test.tsx')) continue;
    hash.update(`${file}\0`).update(readFileSync(join(ROOT, file)));
  }
  return hash.digest('hex').slice(0, 16);
}

async function make(folder: string, target: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  await new Promise<void>((resolve, reject) => {
    let output = '';
    const child = spawn(process.execPath, [join(ROOT, 'scripts/dashboard.ts'), target], {
      cwd: folder,
      // Under another one React comes as its development build, which is over the limit of the first view.
      env: { ...process.env, NODE_ENV: 'production' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        output = `${output}${text}`.slice(-KEPT_OUTPUT_CHARS);
      });
    child.once('error', reject);
    child.once('close', code => {
      if (code === 0) resolve();
      else reject(new Error(`scripts/dashboard.ts ended with ${code}: ${output}`));
    });
  });
  // Former versions: whoever has their page open is told to load it anew.
  for (const name of readdirSync(folder))
    if (join(folder, name) !== target) rmSync(join(folder, name), { recursive: true, force: true });
}
