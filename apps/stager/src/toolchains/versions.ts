/** Which version of a toolchain an app gets. What is here already is preferred: a range says that any of its versions will do. */
import type { ToolchainAsk } from '@cupola/buildpacks/buildpack';
import { isIn, newestIn, overlaps } from '@cupola/buildpacks/nodejs/versions';
import { StagingFailedError } from '@cupola/model/errors';
import type { InstalledNpm } from './trees.ts';

/** The newest npm that each Node.js runs (`engines` of npm's own releases). The first that holds the Node.js is taken. */
const NPM_FOR_NODE: ReadonlyArray<readonly [node: string, npm: string]> = [
  ['^20.17.0 || >=22.9.0', '11.x'],
  ['^18.17.0 || >=20.5.0', '10.x'],
  ['^14.17.0 || ^16.13.0 || >=18.0.0', '9.x'],
  ['>=6.2.0', '6.x'],
  ['*', '3.x'],
];

export interface Known {
  /** Version of the Node.js that runs us; null where it cannot be given to apps. */
  ownNode: string | null;
  installedNpm: InstalledNpm | null;
  /** Versions of that toolchain made before. */
  made: readonly string[];
}

export interface Choice {
  version: string;
  /** `own`: our own Node.js; `installed`: this machine's npm. */
  source: 'own' | 'installed' | 'made' | 'registry';
}

/** The registry's package of a toolchain. Yarn changed its name with version 2. */
export function packageOf({ name, range }: Pick<ToolchainAsk, 'name' | 'range'>): string {
  if (name === 'node') return `node-${process.platform}-${process.arch}`;
  if (name === 'yarn') return overlaps(range, '<2') ? 'yarn' : '@yarnpkg/cli-dist';
  return name;
}

/** Without asking a registry; null when only that can tell. */
export function chooseHere({ name, range, nodeVersion }: ToolchainAsk, known: Known): Choice | null {
  if (name === 'node') {
    if (known.ownNode !== null && isIn(range, known.ownNode)) return { version: known.ownNode, source: 'own' };
    return null;
  }
  const { installedNpm } = known;
  const fits = name === 'npm' && installedNpm !== null && isIn(range, installedNpm.version);
  if (fits && isIn(installedNpm.nodeRange, nodeVersion ?? ''))
    return { version: installedNpm.version, source: 'installed' };
  const exact = range !== null && /^\d+\.\d+\.\d+$/.test(range);
  return exact && known.made.includes(range) ? { version: range, source: 'made' } : null;
}

/**
 * From what the registry has; from what was made before when the registry is away.
 * @param versions null: the registry could not be asked, for `reason`.
 * @throws StagingFailedError in words for the app's developer.
 */
export function chooseFrom(
  ask: ToolchainAsk,
  { versions, reason, known }: { versions: readonly string[] | null; reason: string; known: Known },
): Choice {
  const range = ask.range ?? npmRange(ask);
  const found = newestIn(range, versions ?? known.made);
  if (found !== null) return { version: found, source: known.made.includes(found) ? 'made' : 'registry' };
  const wanted = `${ask.name} ${range ?? 'of any version'}`;
  const here = [...known.made, ...(ask.name === 'node' && known.ownNode !== null ? [known.ownNode] : [])];
  throw new StagingFailedError(
    'BuildpackCompileFailed',
    versions === null
      ? `${wanted} is not on this machine, and the registry could not be asked for it (${reason}). ${here.length === 0 ? 'Connect this machine to a registry' : `Here are: ${here.join(', ')}. Ask for one of them`}, and push again.`
      : `There is no ${wanted} for ${process.platform}-${process.arch} in the registry. Change "engines" in package.json${ask.name === 'node' ? ' (or .nvmrc)' : ''} and push again.`,
  );
}

function npmRange({ name, nodeVersion }: ToolchainAsk): string | null {
  if (name !== 'npm' || nodeVersion === null) return null;
  return NPM_FOR_NODE.find(([node]) => isIn(node, nodeVersion))?.[1] ?? null;
}
