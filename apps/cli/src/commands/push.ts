/** `cupola push`: manifest, files, staging, start; each app of the manifest in turn. Ends with the URL, the seconds, and where they went. */
import { writeFileSync } from 'node:fs';
import type { ClientLogLine } from '@cupola/client/logs';
import { type Explanation, explainCause } from '@cupola/contract/causes';
import { type ReadApp, type ReadProcess, readRoute } from '@cupola/contract/v3/client-reads';
import { configFolder } from '../config.ts';
import { type CliContext, findApp } from '../context.ts';
import { CliError, explain, usageError } from '../failures.ts';
import { openFolderMemory } from '../files/pushed-folder.ts';
import { filesNotKept } from '../files-not-kept.ts';
import { type ManifestPlan, type PushedImage, type PushFlags, planManifest } from '../manifest/manifest.ts';
import { type Phase, runPhases } from '../push/phases.ts';
import { assignDroplet, type Deployed, type DeploymentChoice, type RanDroplet, runDroplet } from '../push/run-app.ts';
import { stage } from '../push/stage.ts';
import { type Prepared, prepareUpload, type Uploaded, upload } from '../push/upload-app.ts';
import { registryPassword, useImage } from '../push/use-image.ts';
import { bytes, explanationText, harmless, logLine, plural, seconds } from '../text.ts';
import { urlsOf } from '../urls.ts';
import { canaryText } from './deployments.ts';

export interface PushOptions extends PushFlags {
  /** `--no-start` makes it false. */
  start: boolean;
  /** Staged, and not started: what tasks run with. */
  task?: boolean;
  route: boolean;
  strategy?: string;
  /** Of a deployment: how many new instances may start at once. */
  maxInFlight?: number;
  /** Of a canary deployment: where it pauses, in percent of the instances. */
  instanceSteps?: number[];
  /** Where to write the result as JSON besides: for programs that show the output to a person. */
  resultFile?: string;
}

/** How far a push goes: with `--no-start`, with `--task`, or all the way. */
type Goal = 'upload' | 'stage' | 'start';

interface PushedApp {
  name: string;
  guid: string;
  url: string | null;
  urls: string[];
  goal: Goal;
  /** Null: it was not started. */
  deployed: Deployed | null;
  /** Types of processes without an instance: as in CF, each but web begins so. */
  idle: string[];
  /** What works now and will not last. */
  warning: Explanation | null;
  files: { total: number; matched: number; sentBytes: number };
  seconds: { total: number; upload: number; stage: number; start: number };
}

export async function push(context: CliContext, name: string | undefined, options: PushOptions): Promise<void> {
  const startedMs = performance.now();
  const goal: Goal = !options.start ? 'upload' : options.task === true ? 'stage' : 'start';
  const deployment = deploymentOf(options);
  const plan = planManifest(name, { ...options, noRoute: !options.route || options.task === true }, process.cwd());
  const { organization, space } = context.target();
  context.say(`Pushing ${plan.apps.map(app => app.name).join(', ')} to ${organization.name} / ${space.name}`);
  // Hashing needs no app: the manifest is applied meanwhile.
  const applying = apply(context, plan);
  applying.catch(() => undefined); // Thrown where it is awaited below.
  const pushed: PushedApp[] = [];
  for (const one of plan.apps)
    pushed.push(
      await pushOne(context, {
        ...one,
        applying,
        goal,
        deployment,
        options,
        startedMs: pushed.length === 0 ? startedMs : performance.now(),
      }),
    );
  const total = round(performance.now() - startedMs);
  const value =
    pushed.length === 1
      ? { ...pushed[0], seconds: { ...pushed[0]?.seconds, total } }
      : { apps: pushed, seconds: { total } };
  if (options.resultFile !== undefined) writeFileSync(options.resultFile, `${JSON.stringify(value)}\n`);
  context.result(value, pushed.map(summary).join('\n'));
}

/** One call for all apps; they exist when it returns. */
async function apply(context: CliContext, plan: ManifestPlan): Promise<void> {
  const { space } = context.target();
  await context.client().act({
    method: 'POST',
    path: `/v3/spaces/${space.guid}/actions/apply_manifest`,
    raw: { contentType: 'application/x-yaml', body: () => plan.body },
  });
}

interface One {
  name: string;
  folder: string;
  /** Null: the files of the folder. */
  image: PushedImage | null;
  applying: Promise<void>;
  goal: Goal;
  deployment: DeploymentChoice | null;
  options: PushOptions;
  startedMs: number;
}

/** What each phase leaves to the next. */
interface PushState {
  app?: ReadApp;
  uploaded?: Uploaded;
  dropletGuid?: string;
  ran?: RanDroplet;
}

/** Instead of an upload; null: files are pushed. */
function imagePhase(
  context: CliContext,
  image: PushedImage | null,
  { finding, state }: { finding: Promise<ReadApp>; state: PushState },
): Phase | null {
  if (image === null) return null;
  const password = registryPassword(image, context.environment);
  return {
    title: `Use ${image.name}`,
    run: async () => {
      state.app = await finding;
      state.uploaded = await useImage(context.client(), image, { appGuid: state.app.guid, password });
      return `Used ${image.name}`;
    },
  };
}

async function pushOne(
  context: CliContext,
  { name, folder, image, applying, goal, deployment, options, startedMs }: One,
): Promise<PushedApp> {
  const client = context.client();
  const memory = openFolderMemory(configFolder(context.environment), {
    folder,
    place: [client.endpoints.api, context.target().space.guid, name],
  });
  const state: PushState = {};
  const staging: ClientLogLine[] = [];
  // While the folder is looked at: what the manifest has made is there.
  const finding = applying.then(() => findApp(context, name));
  const reading = finding.then(async ({ guid }) =>
    urlsOf(client, await client.all(readRoute, `/v3/apps/${guid}/routes`)),
  );
  reading.catch(() => undefined); // Thrown where it is awaited below.
  const phases: Phase[] = [
    imagePhase(context, image, { finding, state }) ?? {
      title: `Upload ${folder}`,
      run: async show => {
        const prepared = await together(prepareUpload(client, folder, memory), finding);
        for (const path of prepared.walked?.skipped ?? []) show(`left out: ${path} is no file, folder or link`);
        state.app = await finding;
        state.uploaded = await upload(client, prepared, {
          appGuid: state.app.guid,
          memory,
          progress: sparingly(show),
        });
        return uploadText(state.uploaded);
      },
    },
  ];
  if (goal !== 'upload')
    phases.push({
      title: 'Stage',
      run: async show => {
        const { app, uploaded } = state as Required<typeof state>;
        state.dropletGuid = await stage(client, {
          appGuid: app.guid,
          appName: name,
          package: uploaded.package,
          show: line => {
            staging.push(line);
            show(harmless(line.text));
          },
        });
        if (goal === 'stage') await assignDroplet(client, app, state.dropletGuid);
        return 'Staged';
      },
    });
  if (goal === 'start')
    phases.push({
      title: 'Start',
      run: async () => {
        const { app, dropletGuid } = state as Required<typeof state>;
        const startTimeout = options.startTimeout ?? null;
        state.ran = await runDroplet(context, { app, dropletGuid, deployment, startTimeout });
        return state.ran.deployed === 'canary' ? 'Started a canary' : 'Started';
      },
    });
  const tookMs = await runPhases(phases, {
    json: context.json,
    isTerminal: process.stdout.isTTY === true,
    monotonic: () => performance.now(),
  }).catch((error: unknown) => {
    throw withStagingLog(explain(error, name) ?? error, staging, context);
  });
  const { app, uploaded } = state as Required<Omit<typeof state, 'ran'>>;
  if (goal !== 'start' && app.state === 'STARTED')
    await client.act({ method: 'POST', path: `/v3/apps/${app.guid}/actions/stop` });
  const [urls, notKept] = await Promise.all([
    reading,
    goal === 'start' ? filesNotKept(context, app, { settle: true }) : null,
  ]);
  return {
    ...{ name, guid: app.guid, url: urls[0] ?? null, urls, goal },
    deployed: state.ran?.deployed ?? null,
    idle: idleTypes(state.ran?.processes ?? []),
    warning: notKept === null ? null : explainCause({ code: 'files-not-kept', evidence: notKept }, { app: name }),
    files: { total: uploaded.files, matched: uploaded.matchedFiles, sentBytes: uploaded.sentBytes },
    seconds: split(tookMs, performance.now() - startedMs),
  };
}

function idleTypes(processes: readonly ReadProcess[]): string[] {
  return [...new Set(processes.filter(({ instances }) => instances === 0).map(({ type }) => type))];
}

function split([uploadMs = 0, stageMs = 0, startMs = 0]: readonly number[], totalMs: number): PushedApp['seconds'] {
  return { total: round(totalMs), upload: round(uploadMs), stage: round(stageMs), start: round(startMs) };
}

/** What a deployment is asked for; null: a restart. The API says what of it does not go together. */
function deploymentOf({ strategy, maxInFlight, instanceSteps }: PushOptions): DeploymentChoice | null {
  if (strategy === undefined || strategy === 'null') {
    if (maxInFlight === undefined && instanceSteps === undefined) return null;
    throw usageError('--max-in-flight and --instance-steps are of a deployment.', 'cupola push --strategy canary ...');
  }
  return {
    strategy,
    ...(maxInFlight === undefined ? {} : { maxInFlight }),
    ...(instanceSteps === undefined ? {} : { instanceSteps }),
  };
}

/** Awaits both; what the API says about the manifest counts more than a fault of a folder. */
async function together(preparing: Promise<Prepared>, finding: Promise<ReadApp>): Promise<Prepared> {
  const [prepared] = await Promise.allSettled([preparing, finding]);
  await finding;
  if (prepared.status === 'rejected') throw prepared.reason;
  return prepared.value;
}

/** Where the live list has folded the log away, or none was shown, a failed staging shows the end of it. */
function withStagingLog(error: unknown, lines: readonly ClientLogLine[], context: CliContext): unknown {
  const failure = explain(error);
  if (failure === null || failure.details.length > 0 || lines.length === 0) return error;
  if (!context.json && process.stdout.isTTY !== true) return error;
  return new CliError(failure.message, {
    exitCode: failure.exitCode,
    next: failure.next,
    explained: failure.explained,
    details: usefulLines(lines, failure.explained?.evidence ?? null).map(logLine),
  });
}

/** The end of the log; where what matters stands before it (npm explains itself for pages), the lines around that. */
function usefulLines(lines: readonly ClientLogLine[], evidence: string | null): readonly ClientLogLine[] {
  const at = evidence === null ? -1 : lines.findLastIndex(({ text }) => text.includes(evidence));
  if (at < 0 || at >= lines.length - LOG_LINES) return lines.slice(-LOG_LINES);
  return lines.slice(Math.max(0, at - LINES_BEFORE), at + LINES_AFTER);
}

const LOG_LINES = 30;
const LINES_BEFORE = 10;
const LINES_AFTER = 10;
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

function round(ms: number): number {
  return Math.round(ms) / 1_000;
}

/** The last line is the address alone: what a terminal makes clickable, and a script can take with `tail -n 1`. */
function summary({ name, goal, url, urls, deployed, idle, warning, seconds: took }: PushedApp): string {
  const total = seconds(took.total * 1_000);
  const parts = goal === 'stage' ? (['upload', 'stage'] as const) : (['upload', 'stage', 'start'] as const);
  const split = parts.map(part => `${part} ${seconds(took[part] * 1_000)}`).join(', ');
  const done = {
    upload: `${name} is uploaded, not started, in ${total}. Start it: cupola start ${name}`,
    stage: `${name} is staged, not started, in ${total} (${split}). Run something: cupola run-task ${name} "COMMAND" --wait, or start it: cupola start ${name}`,
    start: `${name} ${deployed === 'canary' ? 'has a canary' : 'runs'}: done in ${total} (${split})`,
  }[goal];
  const asleep = idle.map(type => `${type} has no instance. Start one: cupola scale ${name} --process ${type} -i 1`);
  const others = urls.slice(1).map(other => `also ${other}`);
  const warned = warning === null ? [] : [`Note: ${warning.says}.`, explanationText(warning)];
  const next = deployed === 'canary' ? [canaryText(name)] : [];
  return ['', ...warned, done, ...next, ...asleep, ...others, url ?? 'it has no route'].join('\n');
}
