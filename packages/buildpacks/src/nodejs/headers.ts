/**
 * Headers of Node.js, for native modules that are compiled. node-gyp wants them from nodejs.org, which a machine that reaches only a registry does not have;
 * the registry's package of Node.js has them too. They are fetched when an installation has failed for want of them, and are kept for the app's next build.
 */
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CommandFailedError, type Stage } from '../buildpack.ts';

const NO_NETWORK = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH/;

/** Whether an installation failed since a native module found no headers. Yarn from 2 on keeps a module's own words in a file. */
export function wantsHeaders(error: unknown): boolean {
  if (!(error instanceof CommandFailedError)) return false;
  const { output } = error;
  return /YN0009/.test(output) || (/gyp (?:ERR!|error)/i.test(output) && NO_NETWORK.test(output));
}

/** @returns the settings for node-gyp; null where the headers are not to be had. */
export async function headersFor(
  stage: Stage,
  { version, environment }: { version: string; environment: Record<string, string> },
): Promise<Record<string, string> | null> {
  const kept = join(stage.cache, 'node-headers', version);
  if (!existsSync(kept)) {
    const name = `node-${process.platform}-${process.arch}@${version}`;
    stage.say(`       Fetching the headers of Node.js ${version} for native modules (${name})`);
    const work = join(stage.cache, 'node-headers', 'new');
    await rm(work, { recursive: true, force: true });
    await mkdir(join(work, 'home'), { recursive: true });
    try {
      const pack = ['npm', 'pack', name, '--silent', '--pack-destination', work];
      const archive = (await stage.read(pack, environment)).trim().split('\n').at(-1) ?? '';
      const unpack = ['tar', '-xzf', join(work, archive), '-C', join(work, 'home'), '--strip-components=1'];
      await stage.run([...unpack, 'package/include']);
      await rename(join(work, 'home'), kept);
    } catch (error) {
      if (!(error instanceof CommandFailedError)) throw error;
      return null; // What the installation said is the cause.
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }
  return { npm_config_nodedir: kept };
}
