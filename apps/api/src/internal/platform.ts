/** What the platform's owner and its other parts ask for: log lines in, instances out. */
import { logBatch, requestCounts } from '@cupola/contract/internal';
import type { LogLine } from '@cupola/logs/log-store';
import { InvalidRequestError } from '@cupola/model/errors';
import { readInstances } from '../processes/instances.ts';
import { type InternalCall, type InternalReply, readJson } from './call.ts';
import { requireSelf } from './caller.ts';

export async function takeLogs(call: InternalCall): Promise<InternalReply> {
  const lines = await readLines(call);
  await call.deps.logs.append(await ofTheirs(call, lines)).catch((error: unknown) => {
    // An app's guid that is none: the sender's mistake.
    if (error instanceof TypeError) throw new InvalidRequestError(error.message);
    throw error;
  });
  return { status: 204 };
}

/** Requests that a router has served; which apps it serves is its own to say. */
export async function takeRequestCounts(call: InternalCall): Promise<InternalReply> {
  call.deps.figures.requests(await readJson(call, requestCounts));
  return { status: 204 };
}

/** Whether the app's log gets them, and when, the build says. */
export async function takeBuildLogs(call: InternalCall): Promise<InternalReply> {
  const guid = call.params.guid ?? '';
  const { read } = call.deps.store;
  const build = await read.selectFrom('builds').select('last_stager').where('guid', '=', guid).executeTakeFirst();
  // Its last lines may come when it has ended, and is nobody's any more.
  if (build !== undefined) requireSelf(call.caller, { role: 'stager', id: build.last_stager ?? '' });
  await call.deps.buildLogs.take(guid, await readLines(call));
  return { status: 204 };
}

/** A router has requests of every app, a cell lines of what it runs; others of its lines are dropped: sent again they would come again. */
async function ofTheirs({ caller, deps }: InternalCall, lines: LogLine[]): Promise<LogLine[]> {
  if (caller === 'local' || caller?.some(({ role }) => role === 'router') === true) return lines;
  const cellId = caller?.find(({ role }) => role === 'agent')?.id ?? '';
  const apps = await deps.logRights.ofCell(cellId, new Set(lines.map(({ appGuid }) => appGuid)));
  const theirs = lines.filter(({ appGuid }) => apps.has(appGuid));
  if (theirs.length < lines.length)
    deps.log.warn(
      { cellId, lines: lines.length - theirs.length },
      'lines of apps that are not on that cell are dropped',
    );
  return theirs;
}

async function readLines(call: InternalCall): Promise<LogLine[]> {
  const { envelopes } = await readJson(call, logBatch);
  return envelopes.map(({ timestampNs, ...envelope }) => ({ ...envelope, timestampNs: BigInt(timestampNs) }));
}

/** Every instance that is wanted, for `cupola status`: as stats show it, with the crashes in a row and since when (epoch ms). */
export async function listInstances({ deps }: InternalCall): Promise<InternalReply> {
  const { read } = deps.store;
  const processes = await read
    .selectFrom('processes')
    .innerJoin('apps', 'apps.guid', 'processes.app_guid')
    .select(['processes.guid', 'processes.type', 'processes.instances', 'processes.run_spec_guid'])
    .select(['processes.planned_at', 'apps.name'])
    .where('apps.state', '=', 'STARTED')
    .orderBy('apps.name')
    .orderBy('processes.type')
    .execute();
  const snapshot = {
    placements: await read.selectFrom('placements').selectAll().execute(),
    copies: await read.selectFrom('copies').selectAll().execute(),
    errors: await read.selectFrom('placement_errors').selectAll().execute(),
  };
  const now = deps.now();
  const instances = processes.flatMap(process =>
    readInstances({ ...process, isStarted: true }, snapshot, now).map(({ index, state, since, copy }) => ({
      app: process.name,
      process: process.type,
      index,
      state,
      crashes: copy?.crash_count ?? 0,
      since: since ?? now,
    })),
  );
  return { status: 200, json: { instances } };
}
