/**
 * A buildpack that somebody brought: programs in its folder `bin`, called as Cloud Foundry calls them (buildpackapplifecycle, runner.go). They run in the
 * build's sandbox like any command of the app's. What they say about processes is parsed before it is believed.
 *
 * | program | arguments | when |
 * |---|---|---|
 * | `detect` | app | nobody asked for a buildpack: 0 takes the app, what it prints is shown |
 * | `supply` | app, cache, deps, index | each but the last; the last too where it has `finalize` |
 * | `finalize` | app, cache, deps, index, profile.d | the last |
 * | `compile` | app, cache | the last, where it has no `finalize` |
 * | `release` | app | the last, where it left no launch.yml: prints YAML with default_process_types |
 */
import { existsSync, readFileSync } from 'node:fs';
import { chmod, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { StagingFailedError } from '@cupola/model/errors';
import { type Buildpack, CommandFailedError, type Stage } from '../buildpack.ts';
import { readRelease } from './processes.ts';

export interface ClassicFolder {
  /** As it was asked for. */
  name: string;
  /** Where it is unpacked. */
  folder: string;
}

/** Runs `bin/detect`; null when it does not take the app. */
type Detect = (argv: readonly string[]) => Promise<string | null>;

export function classicBuildpack({ name, folder }: ClassicFolder, detect: Detect): Buildpack {
  const program = (script: string): string => join(folder, 'bin', script);
  const has = (script: string): boolean => existsSync(program(script));
  const cacheOf = (stage: Stage): string => stage.cache;
  const run = (stage: Stage, script: string, args: readonly string[]): Promise<void> =>
    explained(name, script, () => stage.run([program(script), ...args], variables(stage)));
  const supply = async (stage: Stage): Promise<void> =>
    run(stage, 'supply', [stage.app, cacheOf(stage), dirname(stage.deps), basename(stage.deps)]);
  return {
    name,
    title: name,
    version: versionOf(folder),
    detect: async app => (has('detect') ? await detect([program('detect'), app]) : null),
    supply: async stage => {
      await makeRunnable(folder);
      if (!has('supply'))
        throw failed(
          'BuildpackCompileFailed',
          `Buildpack "${name}" has no bin/supply, so it can only be the last in the list of buildpacks. Put it last.`,
        );
      await supply(stage);
    },
    compile: async stage => {
      await makeRunnable(folder);
      if (has('finalize')) {
        if (has('supply')) await supply(stage);
        return run(stage, 'finalize', [
          stage.app,
          cacheOf(stage),
          dirname(stage.deps),
          basename(stage.deps),
          stage.profileD,
        ]);
      }
      if (!has('compile'))
        throw failed(
          'BuildpackCompileFailed',
          `Buildpack "${name}" has neither bin/finalize nor bin/compile: it is no buildpack, or its archive has them in another folder.`,
        );
      if (basename(stage.deps) !== '0')
        stage.say('       **WARNING** This buildpack has no bin/finalize: what the others supplied may not be found');
      await rm(stage.deps, { recursive: true, force: true });
      await run(stage, 'compile', [stage.app, cacheOf(stage)]);
    },
    release: async stage => {
      if (existsSync(join(stage.deps, 'launch.yml')) || !has('release')) return {};
      const printed = await explained(name, 'release', () =>
        stage.read([program('release'), stage.app], variables(stage)),
      );
      return readRelease(printed, name);
    },
  };
}

/** Names that buildpacks look for beside those of every build. */
const variables = (stage: Stage): Record<string, string> => ({ STACK: stage.environment.CF_STACK ?? '' });

/** Zips made on Windows have no mode that says it can be run. */
async function makeRunnable(folder: string): Promise<void> {
  for (const script of ['detect', 'supply', 'finalize', 'compile', 'release'])
    if (existsSync(join(folder, 'bin', script))) await chmod(join(folder, 'bin', script), 0o755);
}

function versionOf(folder: string): string | null {
  const file = join(folder, 'VERSION');
  if (!existsSync(file)) return null;
  return readFileSync(file, 'utf8').trim().slice(0, 100) || null;
}

const failed = (title: string, message: string): StagingFailedError => new StagingFailedError(title, message);

async function explained<T>(name: string, script: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CommandFailedError)) throw error;
    const ended = error.signal === null ? `exit status ${error.code}` : `ended by ${error.signal}`;
    const title = script === 'release' ? 'BuildpackReleaseFailed' : 'BuildpackCompileFailed';
    throw failed(title, `bin/${script} of buildpack "${name}" failed (${ended}): its own words are in the log above.`);
  }
}
