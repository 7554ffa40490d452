/** Which Node.js an app asks for: `engines.node`, else `.nvmrc`, else `.node-version`, else none. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StagingFailedError } from '@cupola/model/errors';
import semver from 'semver';
import type { PackageJson } from './package-json.ts';

/** Majors by their names, as `.nvmrc` says them (nodejs/Release). */
const LTS: Readonly<Record<string, number>> = {
  fermium: 14,
  gallium: 16,
  hydrogen: 18,
  iron: 20,
  jod: 22,
  krypton: 24,
};
const NEWEST_LTS = Math.max(...Object.values(LTS));

export interface NodeRange {
  /** A semver range; null: the app does not say. */
  range: string | null;
  /** Where it stands; empty when nowhere. */
  from: string;
}

/** @throws StagingFailedError for what is no range. */
export async function askedNode(app: string, { engines }: PackageJson): Promise<NodeRange> {
  if (engines.node !== undefined) return checked(engines.node, '"engines" of package.json');
  for (const file of ['.nvmrc', '.node-version']) {
    const written = await readFile(join(app, file), 'utf8').catch(() => '');
    const line = written.split('\n')[0]?.trim() ?? '';
    if (line !== '') return checked(rangeOfAlias(line.toLowerCase()), file);
  }
  return { range: null, from: '' };
}

function checked(range: string, from: string): NodeRange {
  if (semver.validRange(range) === null)
    throw new StagingFailedError(
      'BuildpackCompileFailed',
      `${from} asks for Node.js "${range}", which is no version or range. Write one such as "24.x" or ">=20".`,
    );
  return { range, from };
}

/** What nvm understands, as a range. */
function rangeOfAlias(alias: string): string {
  if (alias === 'node' || alias === 'stable' || alias === 'current') return '*';
  if (alias === 'lts/*' || alias === 'lts') return `${NEWEST_LTS}.x`;
  const major = alias.startsWith('lts/') ? LTS[alias.slice(4)] : undefined;
  return major === undefined ? alias : `${major}.x`;
}

/** The newest of `versions` in `range`; null when none is. A null range means any. Pre-releases only where the range names one. */
export function newestIn(range: string | null, versions: readonly string[]): string | null {
  return semver.maxSatisfying([...versions], range ?? '*');
}

/** Whether a version lies in a range; a null range holds every version. */
export function isIn(range: string | null, version: string): boolean {
  return range === null || semver.satisfies(version, range);
}

/** Whether some version lies in both ranges; a null range holds every version. */
export function overlaps(range: string | null, other: string): boolean {
  return range === null || semver.intersects(range, other);
}
