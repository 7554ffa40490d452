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
  type: 'buildpack' | 'docker';
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
  present: (Pick<Lifecycle, 'buildpacks' | 'stack'> & { type: string }) | null = null,
): Promise<Lifecycle> {
  const type = body?.type ?? present?.type ?? 'buildpack';
  if (present !== null && type !== present.type)
    throw new UnprocessableError(`Lifecycle type cannot be changed from ${present.type} to ${type}`);
  if (type === 'docker') return await dockerLifecycle(db, body);
  if (body?.type === 'cnb')
    throw new UnprocessableError('Cloud Native Buildpacks are not supported yet. Use lifecycle type buildpack.');
  const isKept = body?.data.stack === undefined && present !== null;
  const { stack, warnings } = isKept
    ? { stack: present.stack, warnings: [] }
    : await resolveStack(db, body?.data.stack);
  const buildpacks = body?.data.buildpacks === undefined ? (present?.buildpacks ?? []) : (body.data.buildpacks ?? []);
  return { type: 'buildpack', buildpacks, stack, warnings };
}

/** An image stands on nothing but itself: the stack of its row is what it would be if it did. */
async function dockerLifecycle(db: Kysely<Database>, body: LifecycleBody | undefined): Promise<Lifecycle> {
  if (Object.keys(body?.data ?? {}).length > 0)
    throw new UnprocessableError(
      "Lifecycle data must be empty for type docker: an image has neither buildpacks nor a stack. Send 'data': {}.",
    );
  const { stack } = await resolveStack(db, undefined);
  return { type: 'docker', buildpacks: [], stack, warnings: [] };
}

/** What of an app's row says how it is staged. */
export function lifecycleOf(app: { lifecycle_type: string; buildpacks_json: string; stack: string }) {
  return { type: app.lifecycle_type, buildpacks: JSON.parse(app.buildpacks_json) as string[], stack: app.stack };
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
