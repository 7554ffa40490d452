/** `cupola push`: manifest, files, staging, start; each app of the manifest in turn. Ends with the URL, the seconds, and where they went. */
import { writeFileSync } from 'node:fs';
import type { ClientLogLine } from '@cupola/client/logs';
import { type Explanation, explainCause } from '@cupola/contract/causes';
import { readRoute } from '@cupola/contract/v3/client-reads';
import { explain, usageError, WordedError } from '@cupola/push/failures';
import { type FolderMemory, openFolderMemory } from '@cupola/push/files/pushed-folder';
import { filesNotKept } from '@cupola/push/files-not-kept';
import { type ManifestPlan, type PushedImage, type PushFlags, planManifest } from '@cupola/push/manifest/manifest';
import { applyManifest, type Goal, idleTypes, type PushState, pushPhases } from '@cupola/push/push-app';
import type { Deployed, DeploymentChoice } from '@cupola/push/run-app';
import { explanationText, logLine, seconds } from '@cupola/push/text';
import { requireFiles } from '@cupola/push/upload-app';
import { urlsOf } from '@cupola/push/urls';
import { configFolder } from '../config.ts';
import { type CliContext, findApp } from '../context.ts';
import { runPhases } from '../phases.ts';
import { appBefore, nameOfFolder, planOfPush } from '../push-plan.ts';
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
  const { organization, space } = context.target();
  const noRoute = !options.route || options.task === true;
  const plan = planManifest(name, { ...options, noRoute, nameless: nameOfFolder }, process.cwd());
  for (const note of plan.notes) context.note(`${plan.file}: ${note}`);
  for (const { folder, image } of plan.apps) if (image === null) requireFiles(folder);
  context.say(`Pushing ${plan.apps.map(app => app.name).join(', ')} to ${organization.name} / ${space.name}`);
  const tellPlan = await beginExplaining(context, { plan, name, options });
  // Hashing needs no app: the manifest is applied meanwhile.
  const applying = applyManifest(context.client(), { spaceGuid: space.guid, onlyApp: null }, plan).catch(
    (error: unknown) => {
      throw explain(error, plan.apps[0]?.name) ?? error;
    },
  );
  applying.catch(() => undefined); // Thrown where it is awaited below.
  await tellPlan?.(applying);
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

interface Explaining {
  plan: ManifestPlan;
  /** As it was typed. */
  name: string | undefined;
  options: PushOptions;
}

/**
 * Without a manifest nobody has written down what the app is: it is told, with where each value comes from, once the API has made it so. Null: nothing is to
 * be told. @throws usage error when only the folder gives the name, and an app that was pushed from elsewhere has it.
 */
async function beginExplaining(
  context: CliContext,
  { plan, name, options }: Explaining,
): Promise<((applying: Promise<void>) => Promise<void>) | null> {
  const [app] = plan.apps;
  if (plan.file !== null || app === undefined || app.image !== null) return null;
  const isNameGuessed = name === undefined;
  if (context.json && !isNameGuessed) return null;
  const before = await appBefore(context, app.name);
  if (isNameGuessed && before !== null && memoryOf(context, app).recall() === null)
    throw usageError(
      `There is an app ${app.name} already, and it was not pushed from this folder.`,
      `Push over it: cupola push ${app.name}. Or name another: cupola push NAME`,
    );
  if (context.json) return null;
  return async applying => {
    await applying;
    context.say(context.table(await planOfPush(context, { ...app, isNameGuessed, options, before })));
  };
}

function memoryOf(context: CliContext, { name, folder }: { name: string; folder: string }): FolderMemory {
  return openFolderMemory(configFolder(context.environment), {
    folder,
    place: [context.client().endpoints.api, context.target().space.guid, name],
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

async function pushOne(
  context: CliContext,
  { name, folder, image, applying, goal, deployment, options, startedMs }: One,
): Promise<PushedApp> {
  const client = context.client();
  const memory = memoryOf(context, { name, folder });
  const state: PushState = { staging: [] };
  // While the folder is looked at: what the manifest has made is there.
  const finding = applying.then(() => findApp(context, name));
  const reading = finding.then(async ({ guid }) =>
    urlsOf(client, await client.all(readRoute, `/v3/apps/${guid}/routes`)),
  );
  reading.catch(() => undefined); // Thrown where it is awaited below.
  const phases = pushPhases(
    client,
    {
      ...{ name, folder, image, finding, goal, memory, environment: context.environment },
      deployment: async () => deployment,
      startTimeout: options.startTimeout ?? null,
    },
    state,
  );
  const tookMs = await runPhases(phases, {
    json: context.json,
    isTerminal: process.stdout.isTTY === true,
    monotonic: () => performance.now(),
  })
    .catch((error: unknown) => {
      throw withStagingLog(explain(error, name) ?? error, state.staging, context);
    })
    .finally(() => {
      for (const note of state.notes ?? []) context.note(note);
    });
  const { app, uploaded } = state as Required<Omit<PushState, 'ran' | 'notes'>>;
  if (goal !== 'start' && app.state === 'STARTED')
    await client.act({ method: 'POST', path: `/v3/apps/${app.guid}/actions/stop` });
  const [urls, notKept] = await Promise.all([
    reading,
    goal === 'start' ? filesNotKept(client, app, { settle: true }) : null,
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

/** Where the live list has folded the log away, or none was shown, a failed staging shows the end of it. */
function withStagingLog(error: unknown, lines: readonly ClientLogLine[], context: CliContext): unknown {
  const failure = explain(error);
  if (failure === null || failure.details.length > 0 || lines.length === 0) return error;
  if (!context.json && process.stdout.isTTY !== true) return error;
  return new WordedError(failure.message, {
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
