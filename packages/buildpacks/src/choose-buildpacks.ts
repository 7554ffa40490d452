/** Which buildpacks stage an app: those asked for by name or well-known address, else the first whose `detect` says yes. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { StagingFailedError } from '@cupola/model/errors';
import { SYSTEM_BUILDPACKS, type SystemBuildpack, systemBuildpack } from '@cupola/model/system-buildpacks';
import type { Buildpack } from './buildpack.ts';

/** Loaded when they are wanted: most builds need one of them. */
const BUILDPACKS: Readonly<Record<SystemBuildpack, () => Promise<Buildpack>>> = {
  staticfile_buildpack: async () => (await import('./staticfile/staticfile.ts')).staticfileBuildpack,
  java_buildpack: async () => (await import('./java/java.ts')).javaBuildpack,
  ruby_buildpack: async () => (await import('./ruby/ruby.ts')).rubyBuildpack,
  nodejs_buildpack: async () => (await import('./nodejs/nodejs.ts')).nodejsBuildpack,
  go_buildpack: async () => (await import('./go/go.ts')).goBuildpack,
  python_buildpack: async () => (await import('./python/python.ts')).pythonBuildpack,
  php_buildpack: async () => (await import('./php/php.ts')).phpBuildpack,
  binary_buildpack: async () => (await import('./binary.ts')).binaryBuildpack,
};

export interface Chosen {
  buildpack: Buildpack;
  /** As the user asked for it, or its own name. */
  askedAs: string;
  detectOutput: string;
}

/** Finds a buildpack that is not the platform's own, by what was asked for: one that an admin has added, or a git address. Null when there is none. */
export type FindOther = (asked: string) => Promise<Buildpack | null>;

export interface Asking {
  /** In the order asked for; empty: detect. */
  asked: readonly string[];
  detectOrder: readonly string[];
  findOther?: FindOther;
}

async function buildpackNamed(asked: string, findOther: FindOther): Promise<Buildpack> {
  const name = systemBuildpack(asked);
  const found = name === null ? await findOther(asked) : await BUILDPACKS[name]();
  if (found !== null) return found;
  throw new StagingFailedError(
    'NoAppDetectedError',
    `Buildpack "${asked}" is not installed here. There are: ${SYSTEM_BUILDPACKS.join(', ')}; and those that cf buildpacks lists.`,
  );
}

/**
 * In the order in which they compile; the last one's process types count, as in CF. Those asked for are taken without detection.
 * @throws StagingFailedError `NoAppDetectedError` when none takes the app.
 */
export async function chooseBuildpacks(
  app: string,
  { asked, detectOrder, findOther = async () => null }: Asking,
): Promise<Chosen[]> {
  if (asked.length > 0) {
    const chosen: Chosen[] = [];
    // One after the other: one that is fetched may print why it cannot be.
    for (const [at, askedAs] of asked.entries()) {
      const buildpack = await buildpackNamed(askedAs, findOther);
      // As CF has it: those that only supply say nothing of the app.
      const isAsked = systemBuildpack(askedAs) !== null && at === asked.length - 1;
      chosen.push({ buildpack, askedAs, detectOutput: isAsked ? ((await buildpack.detect(app)) ?? '') : '' });
    }
    return chosen;
  }
  for (const name of detectOrder) {
    const known = systemBuildpack(name);
    const buildpack = known === null ? await findOther(name) : await BUILDPACKS[known]();
    if (buildpack === null) continue;
    const detectOutput = await buildpack.detect(app);
    if (detectOutput !== null) return [{ buildpack, askedAs: buildpack.name, detectOutput }];
  }
  throw new StagingFailedError(
    'NoAppDetectedError',
    `An app was not successfully detected by any available buildpack. ${
      existsSync(join(app, 'index.html'))
        ? 'There is an index.html: to show all files of the folder as a site, push it with -b staticfile_buildpack, or with an empty file named Staticfile.'
        : 'Push the folder that has the package.json, requirements.txt, go.mod, pom.xml, Gemfile, composer.json, Staticfile or Procfile in it, or name a buildpack with -b.'
    }`,
  );
}
