/** How an app is staged: which buildpacks and stacks there are, by the names that users write. */
import type { LifecycleBody } from '@cupola/contract/v3/app';
import { UnprocessableError } from '@cupola/model/errors';
import {
  gitBuildpack,
  SYSTEM_BUILDPACKS as NAMES,
  type SystemBuildpack,
  systemBuildpack,
} from '@cupola/model/system-buildpacks';
import type { Database } from '@cupola/store/schema';
import type { Kysely } from 'kysely';
import { resolveStack } from '../stacks/resolve-stack.ts';

export interface Lifecycle {
  buildpacks: string[];
  stack: string;
  warnings: string[];
}

/**
 * What a body asks for, over what is so; `checkBuildpacks` judges the names.
 * @throws UnprocessableError for what is not built yet, and for a stack that may not be used.
 */
export async function resolveLifecycle(
  db: Kysely<Database>,
  body: LifecycleBody | undefined,
  present: { buildpacks: string[]; stack: string } | null = null,
): Promise<Lifecycle> {
  if (body?.type === 'docker')
    throw new UnprocessableError('Docker images are not supported yet. Push the source, with a buildpack.');
  if (body?.type === 'cnb')
    throw new UnprocessableError('Cloud Native Buildpacks are not supported yet. Use lifecycle type buildpack.');
  const isKept = body?.data.stack === undefined && present !== null;
  const { stack, warnings } = isKept
    ? { stack: present.stack, warnings: [] }
    : await resolveStack(db, body?.data.stack);
  const buildpacks = body?.data.buildpacks === undefined ? (present?.buildpacks ?? []) : (body.data.buildpacks ?? []);
  return { buildpacks, stack, warnings };
}

/** Those that come with the platform, in the order in which they look at an app. Guids are the same everywhere: a name for a name. */
const GUIDS: Readonly<Record<SystemBuildpack, string>> = {
  nodejs_buildpack: '68b0f6d8-6c4f-4b42-9f1c-3a5b0e6d1b01',
  staticfile_buildpack: '68b0f6d8-6c4f-4b42-9f1c-3a5b0e6d1b02',
  binary_buildpack: '68b0f6d8-6c4f-4b42-9f1c-3a5b0e6d1b03',
  python_buildpack: '68b0f6d8-6c4f-4b42-9f1c-3a5b0e6d1b04',
  go_buildpack: '68b0f6d8-6c4f-4b42-9f1c-3a5b0e6d1b05',
  java_buildpack: '68b0f6d8-6c4f-4b42-9f1c-3a5b0e6d1b06',
  ruby_buildpack: '68b0f6d8-6c4f-4b42-9f1c-3a5b0e6d1b07',
  php_buildpack: '68b0f6d8-6c4f-4b42-9f1c-3a5b0e6d1b08',
};
export const SYSTEM_BUILDPACKS = NAMES.map(name => ({ name, guid: GUIDS[name] }));

/** @throws UnprocessableError that names the first one that is not there, and those that are. */
export async function checkBuildpacks(db: Kysely<Database>, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  const rows = await db.selectFrom('buildpacks').select('name').orderBy('position').execute();
  const known = new Set(rows.map(({ name }) => name));
  const unknown = names.find(name => !known.has(systemBuildpack(name) ?? name) && gitBuildpack(name) === null);
  if (unknown !== undefined)
    throw new UnprocessableError(
      `Buildpack "${unknown}" must be an existing admin buildpack or a valid git URI: these are here: ${[...known].join(', ')}; an address is written https://HOST/PATH#BRANCH, without a login.`,
    );
}
