/** The app's package.json, read as people write it: what has an unexpected type counts as absent, only text that is no JSON is an error. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StagingFailedError } from '@cupola/model/errors';
import { sentence } from '@cupola/model/sentence';

export interface PackageJson {
  /** False: the app has none, everything else is empty. */
  found: boolean;
  name: string;
  version: string;
  main: string | null;
  scripts: Readonly<Record<string, string>>;
  /** Ranges by engine: `node`, `npm`, `yarn`, `pnpm`. */
  engines: Readonly<Record<string, string>>;
  dependencies: readonly string[];
  devDependencies: readonly string[];
  optionalDependencies: readonly string[];
  hasWorkspaces: boolean;
  /** As corepack reads it: `pnpm@9.12.3+sha512...`. */
  packageManager: { name: string; version: string } | null;
}

const record = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
const text = (value: unknown): string | null => (typeof value === 'string' && value.trim() !== '' ? value : null);
const texts = (value: unknown): Record<string, string> =>
  Object.fromEntries(
    Object.entries(record(value)).filter((entry): entry is [string, string] => text(entry[1]) !== null),
  );

/** @throws StagingFailedError when it is there and is no JSON object. */
export async function readPackageJson(app: string): Promise<PackageJson> {
  let source: string | null;
  try {
    source = await readFile(join(app, 'package.json'), 'utf8');
  } catch {
    source = null; // None, or a folder of that name: the app is staged without it.
  }
  const refuse = (why: string): StagingFailedError =>
    new StagingFailedError(
      'BuildpackCompileFailed',
      `${sentence(`package.json cannot be read: ${why}`)} Mend it and push again.`,
    );
  let parsed: unknown = {};
  try {
    if (source !== null) parsed = JSON.parse(source.replace(/^\ufeff/, ''));
  } catch (error) {
    throw refuse((error as Error).message);
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw refuse('it is no JSON object');
  const fields = record(parsed);
  const manager = /^([a-z]+)@(\d+\.\d+\.\d+[\w.-]*)/.exec(text(fields.packageManager) ?? '');
  return {
    found: source !== null,
    name: text(fields.name) ?? '',
    version: text(fields.version) ?? '',
    main: text(fields.main),
    scripts: texts(fields.scripts),
    engines: texts(fields.engines),
    dependencies: Object.keys(record(fields.dependencies)),
    devDependencies: Object.keys(record(fields.devDependencies)),
    optionalDependencies: Object.keys(record(fields.optionalDependencies)),
    hasWorkspaces: Array.isArray(fields.workspaces) || Object.keys(record(fields.workspaces)).length > 0,
    packageManager: manager === null ? null : { name: manager[1] ?? '', version: manager[2] ?? '' },
  };
}
