/**
 * `cupola dev`: an app of one's own beside the one that serves, kept like the folder: what changes there is put where it runs. Ends with Ctrl-C, and the app
 * with it.
 */
import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type ClientLogLine, followLines } from '@cupola/client/logs';
import { EXIT } from '@cupola/push/exit-codes';
import { explain, usageError } from '@cupola/push/failures';
import { type ManifestPlan, type PushFlags, planManifest } from '@cupola/push/manifest/manifest';
import { logLine } from '@cupola/push/text';
import type { CliContext } from '../context.ts';
import { createDevApp, type DevApp } from '../development/dev-platform.ts';
import { type DevEvent, eventText } from '../development/dev-text.ts';
import { createLooks } from '../development/folder.ts';
import { createHints } from '../development/hints.ts';
import { develop } from '../development/session.ts';
import { nameOfFolder } from '../push-plan.ts';

export interface DevFlags extends PushFlags {
  /** Of the app; undefined: NAME-dev. */
  name?: string;
  /** `--no-restart` makes it false: the program reloads by itself. */
  restart: boolean;
  /** The app stays when one leaves. */
  keep?: boolean;
  hours?: number;
}

/** Packages for development are installed, and frameworks behave as they do where one develops; a manifest may say otherwise. */
const VARIABLES = { NODE_ENV: 'development' };
const LOG_AGAIN_MS = 2_000;
/** Of the API, and of the cell where all goes well: the lines of changes and pushes tell the same. */
const TOLD_OTHERWISE =
  /^(?:Cell \S+ (?:success|creat|stop|destroy)|Starting health|Container became|Change \d+ is in place|The command begins)/;

export async function dev(context: CliContext, base: string | undefined, flags: DevFlags): Promise<void> {
  const { organization, space } = context.target();
  const cwd = process.cwd();
  const plan = (): ManifestPlan =>
    planManifest(
      base,
      { ...flags, nameless: nameOfFolder, development: { name: flags.name, variables: VARIABLES } },
      cwd,
    );
  const first = plan();
  const name = first.apps[0]?.name ?? '';
  refuseWhatIsNoFolder(first, base ?? 'NAME');
  const ended = new AbortController();
  using _ = endedBySignals(ended);
  const app = createDevApp({ context, name, hours: flags.hours, signal: ended.signal, plan });
  const say = (event: DevEvent): void => sayEvent(context, event, name);
  context.say(`Developing ${name} in ${organization.name} / ${space.name}`);
  for (const note of first.notes) context.note(`${first.file}: ${note}`);
  const left = leftOutText(first, name);
  if (left !== null) context.note(left);
  await app.make();
  using hints = createHints();
  const session = develop({
    ...{ app: name, platform: app, hints, looksAt: createLooks, say, signal: ended.signal },
    besides:
      flags.noManifest === true ? [] : [first.file === null ? cwd : dirname(first.file), ...varsFolders(flags, cwd)],
    restarts: flags.restart,
    runsSources: flags.command !== undefined || !flags.restart,
    begun: async ({ files }) => {
      const url = await app.url().catch(() => null); // A word less; that it is reached is told with the next push.
      say({ type: 'watching', folder: first.apps[0]?.folder ?? '', files, app: name, url });
      void followLog(context, app, { name, signal: ended.signal });
    },
  });
  const over = session.then(
    () => true,
    () => true, // Thrown below, once the app is gone.
  );
  const isOver = await Promise.race([over, aborted(ended.signal)]);
  ended.abort();
  await leave(context, app, { name, keep: flags.keep === true });
  // A push that is under way goes nowhere any more.
  if (!isOver) process.exit(EXIT.interrupted);
  await session;
  process.exitCode = EXIT.interrupted;
}

function refuseWhatIsNoFolder({ apps, leftOut }: ManifestPlan, base: string): void {
  const folder = apps[0]?.folder ?? '';
  if (leftOut.leftOut.includes('docker'))
    throw usageError('This app runs an image, and has no files to be synced.', `Push it: cupola push ${base}`);
  if (!statSync(folder).isDirectory())
    throw usageError(`${folder} is no folder, and cannot be synced.`, `Push it: cupola push ${base} -p ${folder}`);
}

/** What somebody may miss, and how it is given. */
function leftOutText({ leftOut: { services, leftOut }, notes }: ManifestPlan, name: string): string | null {
  const [service] = services;
  const untold = leftOut.filter(key => !notes.some(note => note.startsWith(`"${key}"`)));
  const all = [...untold, ...(service === undefined ? [] : [`services (${services.join(', ')})`])];
  if (all.length === 0) return null;
  const next =
    service === undefined ? '' : ` What it needs: cupola bind-service ${name} ${service}, then cupola restart ${name}`;
  return `Not taken from the manifest: ${all.join(', ')}.${next}`;
}

function varsFolders({ varsFile = [] }: DevFlags, cwd: string): string[] {
  return varsFile.map(file => dirname(resolve(cwd, file)));
}

/** The first ends it as it should, the second at once. */
function endedBySignals(ended: AbortController): Disposable {
  const end = (): void => {
    if (ended.signal.aborted) process.exit(EXIT.interrupted);
    ended.abort();
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, end);
  return {
    [Symbol.dispose]: () => {
      for (const signal of signals) process.off(signal, end);
    },
  };
}

function aborted(signal: AbortSignal): Promise<false> {
  return new Promise(resolve => {
    if (signal.aborted) resolve(false);
    else signal.addEventListener('abort', () => resolve(false), { once: true });
  });
}

async function leave(context: CliContext, app: DevApp, { name, keep }: { name: string; keep: boolean }): Promise<void> {
  try {
    if (!keep) await app.remove();
    sayEvent(context, { type: 'ended', app: name, deleted: !keep }, name);
  } catch (error) {
    const message = explain(error, name)?.message ?? String(error);
    const next = `It is deleted when its time is over, or by: cupola delete ${name} -f -r`;
    sayEvent(context, { type: 'failed', what: `${name} could not be deleted`, message, next, details: [] }, name);
  }
}

function sayEvent(context: CliContext, event: DevEvent, name: string): void {
  const at = new Date();
  const isHead = event.type === 'watching' || event.type === 'ended';
  const text = `${isHead ? '' : `${at.toTimeString().slice(0, 8)}  `}${eventText(event, name)}`;
  console.log(context.json ? JSON.stringify({ at: at.toISOString(), ...event }) : text);
}

function isShown({ sourceType, text }: ClientLogLine): boolean {
  return sourceType !== 'API' && !(sourceType === 'CELL' && TOLD_OTHERWISE.test(text));
}

/** Until `signal` is aborted. A log that cannot be read is told once, and tried again. */
async function followLog(
  context: CliContext,
  app: DevApp,
  { name, signal }: { name: string; signal: AbortSignal },
): Promise<void> {
  const client = context.client();
  if (client.endpoints.logCache === null) return;
  let fromNs = (app.loggedNs() ?? 0n) + 1n;
  for (let isTold = false; !signal.aborted; isTold = true) {
    try {
      await followLines(client, app.guid(), {
        fromNs,
        signal,
        show: line => {
          fromNs = line.timestampNs + 1n;
          if (context.json)
            console.log(JSON.stringify({ type: 'log', ...line, timestampNs: String(line.timestampNs) }));
          else if (isShown(line)) console.log(logLine(line));
        },
      });
    } catch (error) {
      if (signal.aborted) return;
      if (!isTold)
        sayEvent(
          context,
          { type: 'note', message: `The log cannot be read: ${(error as Error).message}. It is tried again.` },
          name,
        );
      await pause(LOG_AGAIN_MS, undefined, { signal }).catch(() => undefined); // Aborted: the loop ends.
    }
  }
}
