/** Which buildpacks stage an app: those asked for by name or well-known address, else the first whose `detect` says yes. */
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

async function buildpackNamed(asked: string): Promise<Buildpack> {
  const name = systemBuildpack(asked);
  if (name !== null) return BUILDPACKS[name]();
  throw new StagingFailedError(
    'NoAppDetectedError',
    `Buildpack "${asked}" is not installed here. There are: ${SYSTEM_BUILDPACKS.join(', ')}.`,
  );
}

/**
 * In the order in which they compile; the last one's process types count, as in CF. Those asked for are taken without detection.
 * @throws StagingFailedError `NoAppDetectedError` when none takes the app.
 */
export async function chooseBuildpacks(
  app: string,
  { asked, detectOrder }: { asked: readonly string[]; detectOrder: readonly string[] },
): Promise<Chosen[]> {
  if (asked.length > 0)
    return Promise.all(
      asked.map(async askedAs => {
        const buildpack = await buildpackNamed(askedAs);
        return { buildpack, askedAs, detectOutput: (await buildpack.detect(app)) ?? '' };
      }),
    );
  for (const name of detectOrder) {
    const known = systemBuildpack(name);
    if (known === null) continue;
    const buildpack = await BUILDPACKS[known]();
    const detectOutput = await buildpack.detect(app);
    if (detectOutput !== null) return [{ buildpack, askedAs: buildpack.name, detectOutput }];
  }
  throw new StagingFailedError(
    'NoAppDetectedError',
    'An app was not successfully detected by any available buildpack. Push the folder that has the package.json, requirements.txt, go.mod, pom.xml, Gemfile, composer.json, Staticfile or Procfile in it, or name a buildpack with -b (an index.html alone needs -b staticfile_buildpack).',
  );
}
