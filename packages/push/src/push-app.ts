/**
 * One app of a manifest, from its folder to a running version: upload, stage, start, each a phase that whoever runs it may show as it likes. The manifest is
 * applied meanwhile (`applying`): the folder is read before the app is there.
 */
import type { CloudClient } from '@cupola/client/cloud-client';
import type { ClientLogLine } from '@cupola/client/logs';
import type { ReadApp, ReadProcess } from '@cupola/contract/v3/client-reads';
import type { FolderMemory } from './files/pushed-folder.ts';
import type { ManifestPlan, PushedImage } from './manifest/manifest.ts';
import { assignDroplet, type DeploymentChoice, type RanDroplet, runDroplet } from './run-app.ts';
import { stage } from './stage.ts';
import { bytes, harmless, plural } from './text.ts';
import { type Prepared, prepareUpload, type Uploaded, upload } from './upload-app.ts';
import { registryPassword, useImage } from './use-image.ts';

export interface Phase {
  readonly title: string;
  /** Returns what to say when it is done. */
  run(show: (line: string) => void): Promise<string>;
}

/** How far a push goes. */
export type Goal = 'upload' | 'stage' | 'start';

export interface PushOne {
  readonly name: string;
  readonly folder: string;
  /** Null: the files of the folder. */
  readonly image: PushedImage | null;
  /** The app, once the manifest has been applied. */
  readonly finding: Promise<ReadApp>;
  readonly goal: Goal;
  /** Null: a restart. Asked once the droplet is there. */
  deployment(app: ReadApp): Promise<DeploymentChoice | null>;
  /** Seconds that the user gave; null: the platform's own. */
  readonly startTimeout: number | null;
  readonly memory: FolderMemory;
  /** Where the password of an image's registry is looked for. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** What each phase leaves behind. */
export interface PushState {
  app?: ReadApp;
  uploaded?: Uploaded;
  dropletGuid?: string;
  ran?: RanDroplet;
  /** On what went along. */
  notes?: readonly string[];
  /** Lines of the build, so far. */
  readonly staging: ClientLogLine[];
}

/** One call for all apps of a manifest; they exist when it returns. With an app, which has been found before, no other one is made or changed by it. */
export function applyManifest(
  client: CloudClient,
  place: { spaceGuid: string; onlyApp: string | null },
  plan: ManifestPlan,
): Promise<void> {
  const query = place.onlyApp === null ? '' : `?app_guid=${place.onlyApp}`;
  return client.act({
    method: 'POST',
    path: `/v3/spaces/${place.spaceGuid}/actions/apply_manifest${query}`,
    isRepeatable: true,
    raw: { contentType: 'application/x-yaml', body: () => plan.body },
  });
}

/** To be run one after another. @throws WordedError and what the client throws, out of `run`. */
export function pushPhases(client: CloudClient, one: PushOne, state: PushState): Phase[] {
  const phases = [one.image === null ? uploadPhase(client, one, state) : imagePhase(client, one, state)];
  if (one.goal !== 'upload') phases.push(stagePhase(client, one, state));
  if (one.goal === 'start') phases.push(startPhase(client, one, state));
  return phases;
}

function uploadPhase(client: CloudClient, { folder, finding, memory }: PushOne, state: PushState): Phase {
  return {
    title: `Upload ${folder}`,
    run: async show => {
      const prepared = await together(prepareUpload(client, folder, memory), finding);
      for (const path of prepared.walked?.skipped ?? []) show(`left out: ${path} is no file, folder or link`);
      state.notes = notesOn(prepared.walked?.files ?? []);
      state.app = await finding;
      state.uploaded = await upload(client, prepared, { appGuid: state.app.guid, memory, progress: sparingly(show) });
      return uploadText(state.uploaded);
    },
  };
}

/** What goes along, and perhaps should not. */
function notesOn(files: readonly { readonly path: string }[]): string[] {
  const has = (name: RegExp): string | undefined => files.find(({ path }) => name.test(path))?.path;
  const secrets = has(/(?:^|\/)\.env$/);
  const modules = has(/^node_modules\//) !== undefined && has(/^package\.json$/) !== undefined;
  return [
    ...(secrets === undefined
      ? []
      : [
          `Note: ${secrets} goes along. Secrets are better set (cupola set-env APP --file ${secrets}), and the file named in .cfignore.`,
        ]),
    ...(modules
      ? ['Note: node_modules goes along, and is used as it is. Name it in .cfignore to have the build install its own.']
      : []),
  ];
}

/** Instead of an upload. */
function imagePhase(client: CloudClient, { image, finding, environment }: PushOne, state: PushState): Phase {
  const pushed = image as PushedImage;
  const password = registryPassword(pushed, environment);
  return {
    title: `Use ${pushed.name}`,
    run: async () => {
      state.app = await finding;
      state.uploaded = await useImage(client, pushed, { appGuid: state.app.guid, password });
      return `Used ${pushed.name}`;
    },
  };
}

function stagePhase(client: CloudClient, { name, goal }: PushOne, state: PushState): Phase {
  return {
    title: 'Stage',
    run: async show => {
      const { app, uploaded } = state as Required<PushState>;
      state.dropletGuid = await stage(client, {
        appGuid: app.guid,
        appName: name,
        package: uploaded.package,
        show: line => {
          state.staging.push(line);
          show(harmless(line.text));
        },
      });
      if (goal === 'stage') await assignDroplet(client, app, state.dropletGuid);
      return 'Staged';
    },
  };
}

function startPhase(client: CloudClient, { deployment, startTimeout }: PushOne, state: PushState): Phase {
  return {
    title: 'Start',
    run: async () => {
      const { app, dropletGuid } = state as Required<PushState>;
      state.ran = await runDroplet(client, { app, dropletGuid, deployment: await deployment(app), startTimeout });
      return state.ran.deployed === 'canary' ? 'Started a canary' : 'Started';
    },
  };
}

/** Types of processes without an instance: as in CF, each but web begins so. */
export function idleTypes(processes: readonly ReadProcess[]): string[] {
  return [...new Set(processes.filter(({ instances }) => instances === 0).map(({ type }) => type))];
}

/** Awaits both; what the API says about the manifest counts more than a fault of a folder. */
async function together(preparing: Promise<Prepared>, finding: Promise<ReadApp>): Promise<Prepared> {
  const [prepared] = await Promise.allSettled([preparing, finding]);
  await finding;
  if (prepared.status === 'rejected') throw prepared.reason;
  return prepared.value;
}

const PROGRESS_MS = 500;

/** Progress of the upload, now and then: short ones show none. */
function sparingly(show: (line: string) => void): (sent: number, total: number) => void {
  let shownMs = performance.now();
  return (sent, total) => {
    if (performance.now() - shownMs < PROGRESS_MS) return;
    shownMs = performance.now();
    show(`${bytes(sent)} of ${bytes(total)} sent`);
  };
}

function uploadText({ files, matchedFiles, sentBytes }: Uploaded): string {
  if (matchedFiles === 0) return `Uploaded ${plural(files, 'file')}, ${bytes(sentBytes)}`;
  return `Uploaded ${files - matchedFiles} of ${plural(files, 'file')}, ${bytes(sentBytes)}; the others were there`;
}
