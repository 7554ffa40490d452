/**
 * The files that a part, or the CLI, is started from: the bundle that the launcher has made (scripts/programs.ts, docs/decisions/0009), or the sources
 * where it could make none. What runs decides what it starts, until `restart` brings another bundle of the same checkout.
 */
import { existsSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

export interface Programs {
  /** The checkout. */
  root: string;
  /** Below `root`; null: the sources. */
  bundle: string | null;
}

const SOURCES = {
  control: 'apps/control/src/entry.mjs',
  router: 'apps/router/src/main.ts',
  cli: 'apps/cli/src/entry.mjs',
} as const;

/**
 * How Node.js runs a part. The young heap stays at 2 MB (it would grow to 16): the buffers of an upload or of proxied requests are let go ten times as often,
 * so that fewer are there at once; at rest a part holds half of the memory, and a request costs no more (docs/decisions/0009). V8's compile cache is the same.
 * Garbage is collected once a burst of work is over, and undici's parser, which is WebAssembly, is compiled once and not again for speed: its compiler left
 * up to 9 MB behind in each part, by luck of what lay above them in the heap (docs/decisions/0019).
 */
export const NODE_FLAGS: readonly string[] = ['--max-semi-space-size=2', '--expose-gc', '--liftoff-only'];

/**
 * glibc gives back what lies free at the end of its heap only beyond a threshold that it raises to twice the largest block that was ever freed, so a push
 * left each part with tens of MB of nothing; a number here keeps it where it is. One heap for all threads instead of eight for each processor: what V8's
 * compiler threads have let go serves the others. Node.js allocates from its main thread above all, so nobody waits (docs/decisions/0019).
 */
export const MALLOC_ENVIRONMENT: Readonly<Record<string, string>> = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_TRIM_THRESHOLD_: String(512 * 1024),
};

export type Program = keyof typeof SOURCES;

/** Those that the file belongs to which Node.js was started with. */
export function ownPrograms(entry: string = process.argv[1] ?? ''): Programs {
  const folder = dirname(realpathSync(entry));
  return basename(dirname(folder)) === '.programs'
    ? { root: resolve(folder, '../..'), bundle: join('.programs', basename(folder)) }
    : { root: resolve(import.meta.dirname, '../../..'), bundle: null };
}

/** The file to start, below the root. A bundle that is gone (a removed `.programs`) is no reason not to start. */
export function programFile({ root, bundle }: Programs, name: Program): string {
  const bundled = bundle === null ? null : join(bundle, `${name}.mjs`);
  return bundled !== null && existsSync(join(root, bundled)) ? bundled : SOURCES[name];
}
