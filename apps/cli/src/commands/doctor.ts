/** doctor APP: everything that keeps an app from serving, worst first, each with its cause and one command. Changes nothing. */
import { recentLines } from '@cupola/client/logs';
import { type Explanation, explainCause } from '@cupola/contract/causes';
import { explainStaging } from '@cupola/contract/explain-failure';
import {
  type ReadApp,
  type ReadProcess,
  readBuild,
  readProcess,
  readRoute,
  readStats,
} from '@cupola/contract/v3/client-reads';
import { EXIT } from '@cupola/push/exit-codes';
import { startTrouble } from '@cupola/push/explain-failure';
import { WordedError } from '@cupola/push/failures';
import { filesNotKept } from '@cupola/push/files-not-kept';
import { explanationText, logLine } from '@cupola/push/text';
import { urlsOf } from '@cupola/push/urls';
import { type CliContext, findApp } from '../context.ts';
import { hasDroplet } from './releases.ts';

interface Finding {
  /** What was looked at: `web`, `staging`, `routes`. */
  about: string;
  says: string;
  cause: Explanation | null;
  /** Where there is no cause of the table. */
  next: string | null;
  lines: string[];
}

const MIB = 1024 * 1024;
/** Of a limit: nearer than this is told before it hurts (ours). */
const NEARLY = 0.9;
const LOG_LINES = 500;

export async function doctor(context: CliContext, name: string): Promise<void> {
  const app = await findApp(context, name);
  const staged = await staging(context, app);
  // Nothing to start: one step after the other.
  const isEmpty = staged.some(({ says }) => says === NOTHING);
  const findings = [
    ...staged,
    ...(app.state === 'STARTED' ? await starting(context, app) : isEmpty ? [] : [stopped(app)]),
    ...(await routing(context, app)),
    ...(await files(context, app)),
  ];
  const url = await firstUrl(context, app);
  context.result(
    { app: name, guid: app.guid, state: app.state, findings, url },
    findings.length === 0
      ? `${name} runs, and nothing is wrong with it.${url === null ? '' : `\n${url}`}`
      : findings.map(findingText).join('\n\n'),
  );
  if (!findings.some(({ cause }) => cause !== null && cause.code !== 'files-not-kept')) return;
  // One object is all that is printed.
  if (context.json) process.exitCode = EXIT.failed;
  else throw new WordedError(`${name} is not as it should be: see above.`);
}

function findingText({ about, says, cause, next, lines }: Finding): string {
  return [
    ...lines,
    `${about}: ${says}`,
    ...(cause === null ? [] : [explanationText(cause)]),
    ...(next === null ? [] : [`Next: ${next}`]),
  ].join('\n');
}

function stopped({ name }: ReadApp): Finding {
  return { about: 'app', says: 'it is stopped.', cause: null, next: `cupola start ${name}`, lines: [] };
}

/** The newest build counts: an older droplet may still run. */
async function staging(context: CliContext, app: ReadApp): Promise<Finding[]> {
  const client = context.client();
  const newest = await client.first(readBuild, '/v3/builds', { app_guids: app.guid, order_by: '-created_at' });
  if (newest?.state === 'FAILED') {
    const log = await recentLines(client, app.guid, LOG_LINES).catch(() => []);
    const lines = log.filter(({ sourceType }) => sourceType === 'STG');
    const { text, explained } = explainStaging(
      app.name,
      newest.error ?? '',
      lines.map(line => line.text),
    );
    return [{ about: 'staging', says: text, cause: explained, next: null, lines: lines.slice(-SHOWN).map(logLine) }];
  }
  if (newest !== null || (await hasDroplet(context, app))) return [];
  return [{ about: 'app', says: NOTHING, cause: null, next: `cupola push ${app.name}`, lines: [] }];
}

const NOTHING = 'nothing was pushed to it yet.';
const SHOWN = 10;

async function starting(context: CliContext, app: ReadApp): Promise<Finding[]> {
  const client = context.client();
  const processes = await client.all(readProcess, `/v3/apps/${app.guid}/processes`);
  const found: Finding[] = [];
  for (const process of processes.filter(({ instances }) => instances > 0)) {
    const { resources } = await client.read(readStats, { path: `/v3/processes/${process.guid}/stats` });
    const running = resources.filter(({ state }) => state === 'RUNNING');
    if (running.length < resources.length && resources.some(({ details }) => details)) {
      const trouble = await startTrouble(client, app, { process, instances: resources });
      found.push({
        about: `${process.type}, ${running.length} of ${resources.length} running`,
        says: `${trouble.explained.says}. ${trouble.reason}`,
        cause: trouble.explained,
        next: null,
        lines: trouble.lines.slice(-SHOWN).map(logLine),
      });
    }
    const nearly = nearLimit(app, process, running);
    if (nearly !== null) found.push(nearly);
  }
  return found;
}

type Running = Awaited<ReturnType<typeof readStats.parse>>['resources'];

function nearLimit(app: ReadApp, { type, memory_in_mb, disk_in_mb }: ReadProcess, running: Running): Finding | null {
  for (const { index, usage } of running) {
    for (const [what, used, limitMb, flag] of [
      ['memory', usage?.mem ?? 0, memory_in_mb, '-m'],
      ['disk', usage?.disk ?? 0, disk_in_mb, '-k'],
    ] as const)
      if (used > NEARLY * limitMb * MIB)
        return {
          about: `${type}/${index}`,
          says: `it uses ${Math.round(used / MIB)}M of ${limitMb}M ${what}: at the limit it is ended, or cannot write.`,
          cause: null,
          next: `cupola scale ${app.name} ${flag} ${2 * limitMb}M`,
          lines: [],
        };
  }
  return null;
}

async function routing(context: CliContext, app: ReadApp): Promise<Finding[]> {
  if ((await firstUrl(context, app)) !== null) return [];
  const processes = await context.client().all(readProcess, `/v3/apps/${app.guid}/processes`);
  const web = processes.find(({ type }) => type === 'web');
  if (web === undefined || web.instances === 0 || web.health_check?.type === 'process') return [];
  const next = `cupola map-route ${app.name} DOMAIN --hostname ${app.name}`;
  return [{ about: 'routes', says: 'no route leads to it, so no request can.', cause: null, next, lines: [] }];
}

async function firstUrl(context: CliContext, app: ReadApp): Promise<string | null> {
  const client = context.client();
  const [first] = await urlsOf(client, await client.all(readRoute, `/v3/apps/${app.guid}/routes`));
  return first ?? null;
}

/** The cell says it once, in the app's log, when the app has come up. */
async function files(context: CliContext, app: ReadApp): Promise<Finding[]> {
  const evidence = await filesNotKept(context.client(), app);
  if (evidence === null) return [];
  const cause = explainCause({ code: 'files-not-kept', evidence: null }, { app: app.name });
  return [{ about: 'files', says: evidence, cause, next: null, lines: [] }];
}
