/** Versions that a registry has, remembered: an hour old is fresh, any age is better than nothing when the registry is away. */
import { mkdirSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { NpmClient } from '../npm-client.ts';

const FRESH_MS = 3_600_000;
const remembered = z.object({ atMs: z.number(), versions: z.array(z.string()) });

interface Answer {
  /** Null: the registry could not be asked, and was never asked before. */
  versions: string[] | null;
  reason: string;
}
export type AskVersions = (packageName: string) => Promise<Answer>;

export function rememberVersions(npm: Pick<NpmClient, 'versions'>, folder: string, now: () => number): AskVersions {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const asking = new Map<string, Promise<Answer>>();
  const ask = async (name: string): Promise<Answer> => {
    const file = join(folder, `${encodeURIComponent(name)}.json`);
    const known = remembered.safeParse(JSON.parse(await readFile(file, 'utf8').catch(() => 'null')));
    if (known.success && now() - known.data.atMs < FRESH_MS) return { versions: known.data.versions, reason: '' };
    try {
      const versions = await npm.versions(name);
      await writeFile(`${file}.new`, JSON.stringify({ atMs: now(), versions }));
      await rename(`${file}.new`, file);
      return { versions, reason: '' };
    } catch (error) {
      return { versions: known.success ? known.data.versions : null, reason: (error as Error).message };
    }
  };
  // Several builds that ask at once wait for one answer.
  return name => {
    const answer = asking.get(name) ?? ask(name).finally(() => asking.delete(name));
    asking.set(name, answer);
    return answer;
  };
}
