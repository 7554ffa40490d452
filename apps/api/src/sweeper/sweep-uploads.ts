/** Files of uploads that ended with their process: an upload that runs is younger (900 s at most, failure-rules.md section 4). */
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { SweepDeps } from './sweeper.ts';

const LEFT_AFTER_MS = 3_600_000;

export async function sweepUploads({ config, now }: SweepDeps): Promise<number> {
  let removed = 0;
  for (const name of await readdir(config.uploadFolder).catch(whenMissing)) {
    const path = join(config.uploadFolder, name);
    const found = await stat(path).catch(() => null); // Its request ended in this moment.
    if (found === null || found.mtimeMs >= now() - LEFT_AFTER_MS) continue;
    await rm(path, { recursive: true, force: true });
    removed++;
  }
  return removed;
}

/** Nothing was ever uploaded. */
function whenMissing(error: NodeJS.ErrnoException): string[] {
  if (error.code === 'ENOENT') return [];
  throw error;
}
