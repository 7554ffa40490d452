/** Which buildpacks stage an app: those asked for by name or well-known address, else the first whose `detect` says yes. */
import { StagingFailedError } from '@cupola/model/errors';
import type { Buildpack, BuildpackName } from './buildpack.ts';

/** Loaded when they are wanted: most builds need one of them. */
const BUILDPACKS: Readonly<Record<BuildpackName, () => Promise<Buildpack>>> = {
  nodejs_buildpack: async () => (await import('./nodejs/nodejs.ts')).nodejsBuildpack,
  staticfile_buildpack: async () => (await import('./staticfile/staticfile.ts')).staticfileBuildpack,
  binary_buildpack: async () => (await import('./binary.ts')).binaryBuildpack,
};
const isKnown = (name: string): name is BuildpackName => Object.hasOwn(BUILDPACKS, name);

/** Manifests name the same buildpacks by these addresses too, with or without a branch. */
const WELL_KNOWN_URL =
  /^(?:https?|git):\/\/github\.com\/cloudfoundry\/(nodejs|staticfile|binary)-buildpack(?:\.git)?(?:#[\w./-]+)?$/;

export interface Chosen {
  buildpack: Buildpack;
  /** As the user asked for it, or its own name. */
  askedAs: string;
  detectOutput: string;
}

async function buildpackNamed(asked: string): Promise<Buildpack> {
  const name = WELL_KNOWN_URL.exec(asked)?.[1];
  const wanted = name === undefined ? asked : `${name}_buildpack`;
  if (isKnown(wanted)) return BUILDPACKS[wanted]();
  throw new StagingFailedError(
    'NoAppDetectedError',
    `Buildpack "${asked}" is not installed here. There are: ${Object.keys(BUILDPACKS).join(', ')}.`,
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
    if (!isKnown(name)) continue;
    const buildpack = await BUILDPACKS[name]();
    const detectOutput = await buildpack.detect(app);
    if (detectOutput !== null) return [{ buildpack, askedAs: buildpack.name, detectOutput }];
  }
  throw new StagingFailedError(
    'NoAppDetectedError',
    'An app was not successfully detected by any available buildpack. Push the folder that has the package.json, Staticfile or Procfile in it, or name a buildpack with -b (an index.html alone needs -b staticfile_buildpack).',
  );
}
