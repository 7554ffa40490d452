/**
 * complete: what the last of some words may become, a line each; what a shell runs at each press of its tab key. Names of apps, spaces and the like come from
 * a cache of seconds. When it is older, a process in the background asks the platform, and is waited for a moment only: a press of a key never hangs, and a
 * login that is being renewed meanwhile is not cut in the middle.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CfApiError } from '@cupola/client/errors';
import type { Command } from 'commander';
import { z } from 'zod';
import { type Completion, completionOf, type NameKind } from '../completion.ts';
import { configFolder } from '../config.ts';
import type { CliContext } from '../context.ts';
import { findLauncher, LAUNCHER_COMMANDS } from '../launcher.ts';

/** Younger names are taken as they are (ours: a second press of the key asks nobody). */
const FRESH_MS = 5_000;
/** A shell stands still for no longer. */
const WAIT_MS = 1_000;
/** More than that nobody reads, and it is one page of each list. */
const NAMES_MAX = 500;

const names = z.record(z.enum(['app', 'service', 'organization', 'space', 'domain']), z.array(z.string()));
/** Of all that is listed. */
const named = z.object({ name: z.string() });
const cached = z.object({ at: z.number(), place: z.string(), names });

export async function complete(context: CliContext, program: Command, words: readonly string[]): Promise<void> {
  const more = findLauncher() === null ? [] : LAUNCHER_COMMANDS;
  const found = completionOf(program, words, more);
  for (const one of await choices(context, found)) console.log(one);
}

async function choices(context: CliContext, { words, kind, prefix }: Completion): Promise<string[]> {
  const all = kind === null ? words : await namesOf(context, kind);
  return all.filter(one => one.startsWith(prefix) && !/[\r\n]/.test(one));
}

/** Of which platform and space: after another login, or in another space, the names are others. */
function placeOf({ config }: CliContext): string {
  const { endpoints, organization, space } = config.read();
  return JSON.stringify([endpoints?.api, organization?.guid, space?.guid]);
}

const fileOf = ({ environment }: CliContext): string => join(configFolder(environment), 'names.json');

function recall(context: CliContext): z.infer<typeof cached> | null {
  try {
    const known = cached.parse(JSON.parse(readFileSync(fileOf(context), 'utf8')));
    return known.place === placeOf(context) ? known : null;
  } catch {
    return null; // None, or a damaged one: written anew.
  }
}

async function namesOf(context: CliContext, kind: NameKind): Promise<string[]> {
  const known = recall(context);
  if (known !== null && Date.now() - known.at < FRESH_MS) return known.names[kind];
  if (context.config.read().tokens === null) return [];
  await askInBackground();
  return (recall(context) ?? known)?.names[kind] ?? [];
}

/** Resolves when the names are there, or after a moment. It goes on by itself then, for the next press. */
function askInBackground(): Promise<void> {
  return new Promise(resolve => {
    const child = spawn(process.execPath, [process.argv[1] ?? '', 'complete', '--refresh'], {
      detached: true,
      stdio: 'ignore',
    });
    const timer = setTimeout(resolve, WAIT_MS);
    const over = (): void => {
      clearTimeout(timer);
      resolve();
    };
    child.once('error', over).once('exit', over);
    child.unref();
  });
}

/** Asks for all names at once, and keeps them. */
export async function refreshNames(context: CliContext): Promise<void> {
  const client = context.client();
  const { organization, space } = context.config.read();
  const listed = async (path: string, within: Record<string, string> | null) => {
    if (within === null) return [];
    const found: string[] = [];
    try {
      for await (const { name } of client.list(named, path, { ...within, per_page: String(NAMES_MAX) })) {
        if (found.push(name) >= NAMES_MAX) break;
      }
    } catch (error) {
      // Another platform may not have that list, or not for this user: the others still count.
      if (!(error instanceof CfApiError)) throw error;
    }
    return found;
  };
  const here = space === null ? null : { space_guids: space.guid };
  const inOrganization = organization === null ? null : { organization_guids: organization.guid };
  const [app, service, organizations, spaces, domain] = await Promise.all([
    listed('/v3/apps', here),
    listed('/v3/service_instances', here),
    listed('/v3/organizations', {}),
    listed('/v3/spaces', inOrganization),
    listed('/v3/domains', {}),
  ]);
  const file = fileOf(context);
  const temporary = `${file}.${process.pid}`;
  mkdirSync(configFolder(context.environment), { recursive: true, mode: 0o700 });
  const value: z.infer<typeof cached> = {
    at: Date.now(),
    place: placeOf(context),
    names: { app, service, organization: organizations, space: spaces, domain },
  };
  writeFileSync(temporary, JSON.stringify(value), { mode: 0o600 });
  renameSync(temporary, file);
}
