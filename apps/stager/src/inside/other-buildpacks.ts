/** Buildpacks that are not the platform's own, laid out in the sandbox when they are wanted: zips that admins have added, and git addresses. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { unzip } from '@cupola/archive/unzip';
import { type Buildpack, CommandFailedError } from '@cupola/buildpacks/buildpack';
import type { FindOther } from '@cupola/buildpacks/choose-buildpacks';
import { classicBuildpack } from '@cupola/buildpacks/classic/classic';
import { cloneBuildpack } from '@cupola/buildpacks/classic/git';
import { ArchiveRefusedError, StagingFailedError } from '@cupola/model/errors';
import { PUSH_LIMITS } from '@cupola/model/limits';
import { gitBuildpack } from '@cupola/model/system-buildpacks';

export interface OtherDeps {
  /** Zips by the names that users write. */
  zips: ReadonlyArray<{ name: string; file: string }>;
  /** Where they are laid out: no part of the droplet. */
  folder: string;
  run(argv: readonly string[], more: Readonly<Record<string, string>>): Promise<void>;
  read(argv: readonly string[]): Promise<string>;
}

export function openOthers({ zips, folder, run, read }: OtherDeps): FindOther {
  /** A buildpack that fails to detect does not take the app: as CF, whatever its exit status. */
  const detect = async (argv: readonly string[]): Promise<string | null> => {
    try {
      return (await read(argv)).trim();
    } catch (error) {
      if (error instanceof CommandFailedError) return null;
      throw error;
    }
  };
  const make = (name: string, place: string): Buildpack => classicBuildpack({ name, folder: rootOf(place) }, detect);
  return async asked => {
    const place = join(folder, createHash('sha256').update(asked).digest('hex').slice(0, 16));
    const zip = zips.find(({ name }) => name === asked);
    const address = gitBuildpack(asked);
    if (zip === undefined && address === null) return null;
    if (!existsSync(place)) {
      await mkdir(folder, { recursive: true });
      if (zip !== undefined) await unpack(zip, place);
      else if (address !== null) await cloneBuildpack(address, place, run);
    }
    return make(asked, place);
  };
}

async function unpack({ name, file }: { name: string; file: string }, place: string): Promise<void> {
  await mkdir(place);
  try {
    await unzip(file, place, { unpackedMaxBytes: PUSH_LIMITS.unpackedMaxBytes });
  } catch (error) {
    if (!(error instanceof ArchiveRefusedError)) throw error;
    throw new StagingFailedError(
      'BuildpackCompileFailed',
      `The zip of buildpack "${name}" was refused: ${error.message}`,
    );
  }
}

/** A zip of a repository's page has everything in one folder. */
function rootOf(place: string): string {
  if (existsSync(join(place, 'bin'))) return place;
  const [only, ...others] = readdirSync(place);
  return only !== undefined && others.length === 0 ? join(place, only) : place;
}
