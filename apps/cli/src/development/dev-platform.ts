/** A development app as the platform has it: made, pushed, changed, deleted. What `session.ts` asks for, by the API. */
import type { CloudClient } from '@cupola/client/cloud-client';
import { CfApiError, WaitedTooLongError } from '@cupola/client/errors';
import { recentLines } from '@cupola/client/logs';
import { readApp, readDroplet, readRoute } from '@cupola/contract/v3/client-reads';
import { type DevelopmentApp, developmentApp, developmentChange } from '@cupola/contract/v3/development';
import { developmentFacts } from '@cupola/model/development-rule';
import { WordedError } from '@cupola/push/failures';
import { type FolderMemory, openFolderMemory } from '@cupola/push/files/pushed-folder';
import type { ManifestPlan } from '@cupola/push/manifest/manifest';
import { applyManifest, type Phase, type PushOne, type PushState, pushPhases } from '@cupola/push/push-app';
import { urlsOf } from '@cupola/push/urls';
import { configFolder } from '../config.ts';
import type { CliContext } from '../context.ts';
import { runPhases } from '../phases.ts';
import { folderView } from './folder.ts';
import { type Applied, type DevPlatform, type Pushed, RefusedChangeError } from './session.ts';
import { type Tree, treeOf } from './tree.ts';

export interface DevApp extends DevPlatform {
  /** To be called first. @throws what keeps it from being made. */
  make(): Promise<void>;
  guid(): string;
  /** Of the newest log line before the first start, or of its failure; null: none was. */
  loggedNs(): bigint | null;
  url(): Promise<string | null>;
  remove(): Promise<void>;
}

interface Options {
  readonly context: CliContext;
  readonly name: string;
  /** Without a change, how long it lives; undefined: the platform's own. */
  readonly hours: number | undefined;
  readonly signal: AbortSignal;
  /** Reads the manifest anew. */
  plan(): ManifestPlan;
}

/** An instance takes a change in some ms, unless its cell is in trouble. */
const TAKEN_WITHIN_MS = 30_000;
/** What a change may not hold, no such droplet any more, no such app, too large: the same change again is refused again. */
const REFUSALS = [400, 404, 409, 413, 422];
const NOT_FOUND = 404;
const NO_ADDRESS = /different spaces|route already exists|host is taken|host must|default route from app name/i;

export function createDevApp(options: Options): DevApp {
  const { context, signal, plan } = options;
  const client = context.client();
  let guid = '';
  let loggedNs: bigint | null = null;
  let isFirst = true;
  let last: LastPush | null = null;
  return {
    make: async () => {
      guid = await make(client, options);
    },
    guid: () => guid,
    loggedNs: () => loggedNs,
    plan: () => {
      const { apps, body } = plan();
      const { applications } = JSON.parse(body) as { applications: { command?: unknown }[] };
      const command = applications[0]?.command ?? null;
      return { folder: apps[0]?.folder ?? '', key: body, hasCommand: command !== null };
    },
    push: async () => {
      last = null;
      const planned = plan();
      // It lives on; and one that is gone meanwhile is made anew.
      if (!isFirst) guid = await make(client, options);
      const pushing = beginPush(options, planned, guid);
      last = pushing;
      const isShown = isFirst && !context.json;
      const note = async (): Promise<void> => {
        loggedNs ??= await newestNs(client, pushing.guid);
      };
      const phases = isFirst ? notingLog(pushing.phases, note) : pushing.phases;
      isFirst = false;
      try {
        const tookMs = await runPhases(phases, {
          json: !isShown,
          isTerminal: process.stdout.isTTY === true,
          monotonic: () => performance.now(),
        });
        return await pushedOf(client, pushing, tookMs);
      } catch (error) {
        if (isShown) await note().catch(() => undefined); // The build was shown as it went.
        throw error;
      } finally {
        if (isShown) for (const told of pushing.state.notes ?? []) context.note(told);
      }
    },
    afterFailure: async () => {
      if (last?.state.dropletGuid === undefined) return null;
      const now = await client.read(developmentApp, { path: `/v3/apps/${last.guid}/development` });
      return now.droplet_guid === last.state.dropletGuid ? await pushedOf(client, last, []) : null;
    },
    sync: (dropletGuid, tar) => syncChange(client, { guid, dropletGuid, tar, signal }),
    url: async () => {
      const [url] = await urlsOf(client, await client.all(readRoute, `/v3/apps/${guid}/routes`));
      return url ?? null;
    },
    remove: () =>
      client.act({ method: 'DELETE', path: `/v3/apps/${guid}/development` }).catch((error: unknown) => {
        if (!(error instanceof CfApiError) || error.status !== NOT_FOUND) throw error;
      }),
  };
}

async function make(client: CloudClient, { context, name, hours }: Options): Promise<string> {
  const made = client.read(developmentApp, {
    method: 'POST',
    path: '/v3/development_apps',
    isRepeatable: true,
    json: {
      name,
      relationships: { space: { data: { guid: context.target().space.guid } } },
      ...(hours === undefined ? {} : { hours }),
    },
  });
  const { guid } = await made.catch((error: unknown) => {
    // What a push is told to do (--random-route) is nothing for an app whose name is its address.
    if (error instanceof CfApiError && NO_ADDRESS.test(error.message))
      throw new WordedError(error.message, { next: 'Give it another name: cupola dev --name NAME' });
    throw error;
  });
  return guid;
}

interface LastPush {
  /** Of the app. */
  readonly guid: string;
  readonly folder: string;
  readonly state: PushState;
  /** Null: nothing was sent yet. */
  sent(): Sent | null;
}

function beginPush(
  { context, name }: Options,
  plan: ManifestPlan,
  guid: string,
): LastPush & { readonly phases: readonly Phase[] } {
  const client = context.client();
  const { space } = context.target();
  const [{ folder } = { folder: '' }] = plan.apps;
  const applying = applyManifest(client, { spaceGuid: space.guid, onlyApp: guid }, plan);
  const finding = applying.then(() => client.read(readApp, { path: `/v3/apps/${guid}` }));
  finding.catch(() => undefined); // Thrown where it is awaited.
  const place = [client.endpoints.api, space.guid, name];
  const { memory, sent } = capturing(openFolderMemory(configFolder(context.environment), { folder, place }));
  const state: PushState = { staging: [] };
  const one: PushOne = {
    ...{ name, folder, image: null, finding, memory, environment: context.environment },
    ...{ goal: 'start', deployment: async () => null, startTimeout: null },
  };
  return { guid, folder, state, sent, phases: pushPhases(client, one, state) };
}

async function syncChange(
  client: CloudClient,
  { guid, dropletGuid, tar, signal }: { guid: string; dropletGuid: string; tar: Buffer; signal: AbortSignal },
): Promise<Applied> {
  const change = client.read(developmentChange, {
    method: 'POST',
    path: `/v3/apps/${guid}/development/changes`,
    query: { droplet_guid: dropletGuid },
    raw: { contentType: 'application/x-tar', contentLength: tar.length, body: () => tar },
    isRepeatable: true,
    signal,
  });
  const { sequence } = await change.catch((error: unknown) => {
    if (error instanceof CfApiError && REFUSALS.includes(error.status))
      throw new RefusedChangeError(error.message, { cause: error });
    throw error;
  });
  return await taken(client, { guid, dropletGuid, sequence, signal });
}

interface Change {
  readonly guid: string;
  readonly dropletGuid: string;
  readonly sequence: number;
  readonly signal: AbortSignal;
}

/** @throws RefusedChangeError when the app has another droplet by now. */
async function taken(client: CloudClient, { guid, dropletGuid, sequence, signal }: Change): Promise<Applied> {
  const running = ({ instances }: DevelopmentApp) => instances.filter(({ state }) => state === 'RUNNING');
  try {
    const found = await client.poll({
      path: `/v3/apps/${guid}/development?sequence=${sequence}`,
      schema: developmentApp,
      what: `change ${sequence}`,
      limitMs: TAKEN_WITHIN_MS,
      isDone: app => app.droplet_guid !== dropletGuid || running(app).every(({ applied }) => applied >= sequence),
      signal,
    });
    if (found.droplet_guid !== dropletGuid) throw new RefusedChangeError('somebody else has pushed to it');
    return { sequence, waits: running(found).length === 0 ? 'no instance runs' : null };
  } catch (error) {
    if (error instanceof WaitedTooLongError) return { sequence, waits: 'not taken yet' };
    throw error;
  }
}

interface Sent {
  readonly tree: Tree;
  readonly isSure: boolean;
}

/** Hears what a push has sent of the folder, as it was hashed. */
function capturing(memory: FolderMemory): { memory: FolderMemory; sent(): Sent | null } {
  let sent: Sent | null = null;
  return {
    sent: () => sent,
    memory: {
      recall: memory.recall,
      remember: (walked, made) => {
        sent = { tree: treeOf(walked), isSure: made !== null };
        memory.remember(walked, made);
      },
    },
  };
}

async function pushedOf(
  client: CloudClient,
  { state, sent, folder }: LastPush,
  tookMs: readonly number[],
): Promise<Pushed> {
  const dropletGuid = state.dropletGuid ?? '';
  const droplet = await client.read(readDroplet, { path: `/v3/droplets/${dropletGuid}` });
  const buildpacks = (droplet.buildpacks ?? []).map(({ name }) => name);
  const { tree, isSure } = sent() ?? { tree: new Map(), isSure: false };
  const facts = developmentFacts(buildpacks, folderView(folder, tree));
  return { dropletGuid, buildpacks, tree, isSure, facts, tookMs };
}

/** The last phase begins by it: what is logged from there on is of the app that runs. */
function notingLog(phases: readonly Phase[], note: () => Promise<unknown>): Phase[] {
  return phases.map((phase, at) => ({
    title: phase.title,
    run: async show => {
      if (at === phases.length - 1) await note().catch(() => undefined); // No log, no lines.
      return await phase.run(show);
    },
  }));
}

async function newestNs(client: CloudClient, guid: string): Promise<bigint | null> {
  return (await recentLines(client, guid, 1)).at(-1)?.timestampNs ?? null;
}
