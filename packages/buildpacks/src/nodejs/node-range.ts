/** Which Node.js an app asks for: `engines.node`, else `.nvmrc`, else `.node-version`, else none. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StagingFailedError } from '@cupola/model/errors';
import { isRange } from './is-range.ts';
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
  if (engines.node !== undefined) return await checked(engines.node, '"engines" of package.json');
  for (const file of ['.nvmrc', '.node-version']) {
    const written = await readFile(join(app, file), 'utf8').catch(() => '');
    const line = written.split('\n')[0]?.trim() ?? '';
    if (line !== '') return await checked(rangeOfAlias(line.toLowerCase()), file);
  }
  return { range: null, from: '' };
}

async function checked(range: string, from: string): Promise<NodeRange> {
  if (!(await isRange(range)))
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
