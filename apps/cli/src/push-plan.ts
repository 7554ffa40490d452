/** What a push without a manifest is about to do, and where each value of it comes from: what somebody would otherwise find out by reading docs. */
import { basename } from 'node:path';
import { type ReadApp, type ReadProcess, readApp, readProcess, readRoute } from '@cupola/contract/v3/client-reads';
import { usageError } from '@cupola/push/failures';
import { type Guess, guessStart } from '@cupola/push/guess-start';
import { urlsOf } from '@cupola/push/urls';
import type { PushOptions } from './commands/push.ts';
import type { CliContext } from './context.ts';

/** A folder's name that can be an app's without a second thought. */
const PLAIN_NAME = /^[A-Za-z0-9][\w-]{0,61}$/;

/** The app is called like the folder, when nobody says otherwise. @throws usage error when that is no name. */
export function nameOfFolder(folder: string): string {
  const name = basename(folder);
  if (PLAIN_NAME.test(name)) return name;
  throw usageError('Which name shall the app have?', 'cupola push NAME');
}

/** The app as it was before the push; null: it is new. */
export function appBefore(context: CliContext, name: string): Promise<ReadApp | null> {
  const { space } = context.target();
  return context.client().first(readApp, '/v3/apps', { names: name, space_guids: space.guid });
}

interface Pushing {
  readonly name: string;
  /** Nobody has said it. */
  readonly isNameGuessed: boolean;
  readonly folder: string;
  readonly options: PushOptions;
  readonly before: ReadApp | null;
}

/** Rows of `what`, `value`, `where it comes from`, once the manifest has been applied. */
export async function planOfPush(context: CliContext, pushing: Pushing): Promise<string[][]> {
  const client = context.client();
  const { name, options, before } = pushing;
  const app = await appBefore(context, name);
  if (app === null) return [];
  const [processes, routes] = await Promise.all([
    client.all(readProcess, `/v3/apps/${app.guid}/processes`),
    client.all(readRoute, `/v3/apps/${app.guid}/routes`),
  ]);
  const [url] = await urlsOf(client, routes);
  const listed = processes.find(({ type }) => type === 'web');
  // Lists hide commands.
  const web = listed && (await client.read(readProcess, { path: `/v3/processes/${listed.guid}` }));
  return [
    ['name', name, pushing.isNameGuessed ? 'name of the folder' : 'command line'],
    ['files', pushing.folder, options.path === undefined ? 'this folder' : '-p'],
    ...codeRows(guessStart(pushing.folder), options, web),
    ...(web === undefined ? [] : sizeRows(web, options, before)),
    ['route', url ?? 'none', routeFrom(options, before)],
  ];
}

function codeRows({ language, start }: Guess, options: PushOptions, web: ReadProcess | undefined): string[][] {
  const asked = options.buildpack ?? [];
  const command = options.command ?? web?.command ?? null;
  return [
    asked.length > 0
      ? ['buildpack', asked.join(', '), '-b']
      : ['language', language?.value ?? 'the build finds out', language === null ? '' : `there is a ${language.from}`],
    command !== null
      ? ['start', command, options.command === undefined ? 'as it is' : '-c']
      : ['start', start?.value ?? 'the build finds out', start?.from ?? ''],
  ];
}

function sizeRows(web: ReadProcess, options: PushOptions, before: ReadApp | null): string[][] {
  const from = (flag: string, isGiven: boolean): string =>
    isGiven ? flag : before === null ? "the platform's default" : 'as it is';
  return [
    ['memory', `${web.memory_in_mb}M`, from('-m', options.memory !== undefined)],
    ['disk', `${web.disk_in_mb}M`, from('-k', options.disk !== undefined)],
    ['instances', String(web.instances), from('-i', options.instances !== undefined)],
  ];
}

function routeFrom(options: PushOptions, before: ReadApp | null): string {
  if (!options.route) return '--no-route';
  if (options.randomRoute === true) return '--random-route';
  return before === null ? 'its name and the first domain' : 'as it is';
}
