/** apps, app, rename, env, set-env, unset-env, buildpacks, logs, curl: looking at apps, and their environment. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { followLines, recentLines } from '@cupola/client/logs';
import { type Explanation, explainCause } from '@cupola/contract/causes';
import {
  type ReadApp,
  type ReadDeployment,
  type ReadProcess,
  type ReadRoute,
  type ReadStats,
  readApp,
  readAppEnvironment,
  readBuildpack,
  readDroplet,
  readProcess,
  readRoute,
  readStats,
} from '@cupola/contract/v3/client-reads';
import { readCode } from '@cupola/model/causes';
import { waitingCause } from '@cupola/model/waiting-reasons';
import { EXIT } from '@cupola/push/exit-codes';
import { usageError, WordedError } from '@cupola/push/failures';
import { bytes, explanationText, logLine, span, table } from '@cupola/push/text';
import { readUrls, urlsOf } from '@cupola/push/urls';
import { type CliContext, findApp } from '../context.ts';
import { activeDeployment, canaryText } from './deployments.ts';

const AT_ONCE = 8;
const MIB = 1024 * 1024;

/** Maps in order, a few at a time: no burst of one request for each app. */
async function mapSome<In, Out>(items: readonly In[], map: (item: In) => Promise<Out>): Promise<Out[]> {
  const results: Out[] = new Array(items.length);
  let next = 0;
  const work = async (): Promise<void> => {
    for (let at = next++; at < items.length; at = next++) results[at] = await map(items[at] as In);
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, work));
  return results;
}

export async function apps(context: CliContext): Promise<void> {
  const { space } = context.target();
  const client = context.client();
  const within = { space_guids: space.guid };
  const [all, processes, routes, urlOf] = await Promise.all([
    client.all(readApp, '/v3/apps', { ...within, order_by: 'name' }),
    client.all(readProcess, '/v3/processes', within),
    client.all(readRoute, '/v3/routes', within),
    readUrls(client),
  ]);
  const started = new Set(all.filter(({ state }) => state === 'STARTED').map(({ guid }) => guid));
  const ofApp = (process: ReadProcess): string => process.relationships?.app?.data?.guid ?? '';
  const running = new Map(
    await mapSome(
      processes.filter(process => started.has(ofApp(process)) && process.instances > 0),
      async process =>
        [process.guid, (await statsOf(context, process)).filter(({ state }) => state === 'RUNNING').length] as const,
    ),
  );
  const list = all.map(app => ({
    name: app.name,
    guid: app.guid,
    state: app.state,
    processes: processes
      .filter(process => ofApp(process) === app.guid)
      .map(({ guid, type, instances }) => ({ type, running: running.get(guid) ?? 0, instances })),
    urls: routesOf(routes, app).map(urlOf.url),
  }));
  const rows = list.map(app => [
    app.name,
    app.state.toLowerCase(),
    app.processes.map(({ type, running: up, instances }) => `${type}:${up}/${instances}`).join(', '),
    app.urls.join(', '),
  ]);
  context.result(
    { apps: list },
    rows.length === 0
      ? `no apps in ${space.name}; push one: cupola push NAME`
      : context.table([['name', 'state', 'processes', 'urls'], ...rows]),
  );
}

function routesOf(routes: readonly ReadRoute[], app: ReadApp): ReadRoute[] {
  return routes.filter(({ destinations }) => destinations?.some(destination => destination.app?.guid === app.guid));
}

async function statsOf(context: CliContext, process: ReadProcess): Promise<ReadStats['resources']> {
  return (await context.client().read(readStats, { path: `/v3/processes/${process.guid}/stats` })).resources;
}

export async function app(context: CliContext, name: string, flags: { guid?: boolean } = {}): Promise<void> {
  const found = await findApp(context, name);
  if (flags.guid) return context.result({ guid: found.guid }, found.guid);
  await showApp(context, found);
}

/** Summary of one app: what it is, where it answers, how its instances fare. */
export async function showApp(context: CliContext, found: ReadApp): Promise<void> {
  const client = context.client();
  const [processes, routes, droplet, deployment] = await Promise.all([
    client.all(readProcess, `/v3/apps/${found.guid}/processes`),
    client.all(readRoute, `/v3/apps/${found.guid}/routes`),
    client.read(readDroplet, { path: `/v3/apps/${found.guid}/droplets/current` }).catch(() => null), // Nothing staged yet: 404.
    activeDeployment(context, found),
  ]);
  const stats = await mapSome(processes, process => statsOf(context, process));
  const urls = await urlsOf(client, routes);
  const value = {
    name: found.name,
    guid: found.guid,
    state: found.state,
    urls,
    stack: droplet?.stack ?? found.lifecycle?.data?.stack ?? null,
    buildpacks: (droplet?.buildpacks ?? []).map(buildpack => buildpack.name),
    image: droplet?.image ?? null,
    deployment: deployment === null ? null : { guid: deployment.guid, status: deployment.status },
    processes: processes.map((process, at) => ({
      type: process.type,
      isNewVersion: deployment?.new_processes?.some(({ guid }) => guid === process.guid) ?? false,
      instances: process.instances,
      memoryMb: process.memory_in_mb,
      diskMb: process.disk_in_mb,
      stats: (stats[at] ?? []).map(({ index, state, uptime, details, usage }) => ({
        index,
        state,
        uptimeSeconds: uptime ?? null,
        details: details ?? null,
        cpu: usage?.cpu ?? null,
        memoryBytes: usage?.mem ?? null,
        diskBytes: usage?.disk ?? null,
      })),
    })),
  };
  const causes = processes.flatMap((process, at) => causeOf(found, process, stats[at] ?? []));
  const why = causes.map(cause => `\n\nit does not run: ${cause.says}.\n${explanationText(cause)}`);
  const canary = deployment?.status.reason === 'PAUSED' ? `\n\n${canaryText(found.name, deployment)}` : '';
  context.result({ ...value, causes }, describeApp(value) + canary + why.join(''));
}

/** Of a process of which no instance runs, by the code in its details: the row of the instance shows the evidence. */
function causeOf(app: ReadApp, process: ReadProcess, instances: ReadStats['resources']): Explanation[] {
  if (instances.some(({ state }) => state === 'RUNNING')) return [];
  const details = instances.find(one => one.details)?.details ?? '';
  const code = readCode(details).code ?? waitingCause(details)?.code;
  const facts = { app: app.name, memoryMb: process.memory_in_mb, diskMb: process.disk_in_mb };
  return code === undefined ? [] : [explainCause({ code, evidence: null }, facts)];
}

function describeApp(value: {
  name: string;
  state: string;
  urls: string[];
  stack: string | null;
  buildpacks: string[];
  image: string | null;
  deployment: { status: ReadDeployment['status'] } | null;
  processes: {
    type: string;
    /** Of the deployment that is under way. */
    isNewVersion: boolean;
    instances: number;
    memoryMb: number;
    diskMb: number;
    stats: {
      index: number;
      state: string;
      uptimeSeconds: number | null;
      details: string | null;
      cpu: number | null;
      memoryBytes: number | null;
    }[];
  }[];
}): string {
  const head = table([
    ['name', value.name],
    ['state', value.state.toLowerCase()],
    ['urls', value.urls.join(', ') || 'none'],
    ['stack', value.stack ?? '-'],
    ...(value.image === null ? [['buildpacks', value.buildpacks.join(', ') || '-']] : [['image', value.image]]),
    ...(value.deployment === null ? [] : [['deployment', (value.deployment.status.reason ?? 'ACTIVE').toLowerCase()]]),
  ]);
  const processes = value.processes.map(({ type, isNewVersion, instances, memoryMb, diskMb, stats }) => {
    const up = stats.filter(({ state }) => state === 'RUNNING').length;
    const rows = stats.map(({ index, state, uptimeSeconds, details, cpu, memoryBytes }) => [
      `#${index}`,
      state.toLowerCase(),
      uptimeSeconds === null ? '-' : span(uptimeSeconds),
      cpu === null ? '-' : `${(cpu * 100).toFixed(1)} %`,
      memoryBytes === null ? '-' : `${bytes(memoryBytes)} of ${bytes(memoryMb * MIB)}`,
      details ?? '',
    ]);
    const title = `${type}${isNewVersion ? ', new version' : ''}: ${up} of ${instances} running, ${memoryMb}M memory, ${diskMb}M disk each`;
    return rows.length === 0
      ? title
      : `${title}\n${table([['', 'state', 'since', 'cpu', 'memory', 'details'], ...rows])}`;
  });
  return [head, ...processes].join('\n\n');
}

export async function env(context: CliContext, name: string): Promise<void> {
  const found = await findApp(context, name);
  const value = await context.client().read(readAppEnvironment, { path: `/v3/apps/${found.guid}/env` });
  const section = (title: string, variables: Record<string, unknown> | null | undefined): string[] => {
    const lines = Object.entries(variables ?? {}).map(
      ([key, one]) => `${key}: ${typeof one === 'string' ? one : JSON.stringify(one, null, 2)}`,
    );
    return lines.length === 0 ? [] : [`${title}:\n${lines.join('\n')}`];
  };
  const sections = [
    ...section('User-Provided', value.environment_variables),
    ...section('Running Environment Variable Groups', value.running_env_json),
    ...section('Staging Environment Variable Groups', value.staging_env_json),
    ...section('System-Provided', { ...value.system_env_json, ...value.application_env_json }),
  ];
  context.result(value, sections.join('\n\n') || `${name} has no environment variables.`);
}

interface SetEnv {
  key: string | undefined;
  value: string | undefined;
  /** Of NAME=value lines, as dotenv writes them. */
  file?: string;
}

export async function setEnv(context: CliContext, name: string, { key, value, file }: SetEnv): Promise<void> {
  const variables = file === undefined ? one(name, key, value) : ofFile(file);
  await changeEnv(context, name, variables);
  const names = Object.keys(variables);
  context.result(
    { app: name, set: file === undefined ? names[0] : names },
    `Set ${names.join(', ')} of ${name}. It takes effect with: cupola restart ${name}`,
  );
}

function one(app: string, key: string | undefined, value: string | undefined): Record<string, string> {
  if (key !== undefined && value !== undefined) return { [key]: value };
  throw usageError(
    'Which variable, and what value?',
    `cupola set-env ${app} NAME VALUE, or cupola set-env ${app} --file .env`,
  );
}

function ofFile(file: string): Record<string, string> {
  if (!existsSync(file)) throw usageError(`There is no ${file}.`, 'cupola set-env APP --file PATH');
  const found = parseEnv(readFileSync(file, 'utf8'));
  const variables = Object.fromEntries(Object.entries(found).map(([name, value]) => [name, value ?? '']));
  if (Object.keys(variables).length === 0)
    throw usageError(`${file} has no NAME=value lines.`, 'One on each line: NAME=value');
  return variables;
}

export async function unsetEnv(context: CliContext, name: string, key: string): Promise<void> {
  await changeEnv(context, name, { [key]: null });
  context.result({ app: name, unset: key }, `Removed ${key} of ${name}. It takes effect with: cupola restart ${name}`);
}

async function changeEnv(context: CliContext, name: string, variables: Record<string, string | null>): Promise<void> {
  const found = await findApp(context, name);
  await context
    .client()
    .act({ method: 'PATCH', path: `/v3/apps/${found.guid}/environment_variables`, json: { var: variables } });
}

export async function rename(context: CliContext, name: string, newName: string): Promise<void> {
  const found = await findApp(context, name);
  await context.client().act({ method: 'PATCH', path: `/v3/apps/${found.guid}`, json: { name: newName } });
  context.result({ guid: found.guid, name: newName }, `${name} is called ${newName} now. Its routes stay as they are.`);
}

export async function buildpacks(context: CliContext): Promise<void> {
  const all = await context.client().all(readBuildpack, '/v3/buildpacks');
  const rows = all.map(({ position, name, stack, enabled, locked }) => [
    String(position ?? ''),
    name,
    stack ?? '-',
    enabled === false ? 'no' : 'yes',
    locked === true ? 'yes' : 'no',
  ]);
  context.result(
    { buildpacks: all },
    all.length === 0 ? 'no buildpacks' : context.table([['position', 'name', 'stack', 'enabled', 'locked'], ...rows]),
  );
}

export async function logs(context: CliContext, name: string, flags: { recent?: boolean }): Promise<void> {
  const found = await findApp(context, name);
  const client = context.client();
  if (client.endpoints.logCache === null)
    throw new WordedError('This platform keeps no logs that can be read.', { next: 'Ask its operator for log-cache.' });
  if (flags.recent) {
    const lines = await recentLines(client, found.guid);
    const value = lines.map(line => ({ ...line, timestampNs: String(line.timestampNs) }));
    return context.result({ lines: value }, lines.map(logLine).join('\n'));
  }
  context.note(`Following the log of ${name}; Ctrl-C ends it.`);
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  await followLines(client, found.guid, {
    fromNs: BigInt(Date.now()) * 1_000_000n,
    signal: stop.signal,
    show: line =>
      console.log(context.json ? JSON.stringify({ ...line, timestampNs: String(line.timestampNs) }) : logLine(line)),
  });
}

interface CurlFlags {
  method?: string;
  data?: string;
  header?: string[];
  include?: boolean;
  fail?: boolean;
  output?: string;
}

const ERROR_STATUS = 400;

/** `-d @FILE` sends a file; the body is printed whatever the status, as cf does. */
export async function curl(
  context: CliContext,
  path: string,
  { method, data, header = [], include, fail, output }: CurlFlags,
): Promise<void> {
  const headers = Object.fromEntries(
    header.map(line => {
      const colon = line.indexOf(':');
      if (colon <= 0) throw usageError(`-H "${line}" is no header.`, 'Write it like -H "Accept: text/plain"');
      return [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()] as const;
    }),
  );
  const body = data?.startsWith('@') ? readFileSync(data.slice(1)) : data;
  const answer = await context.client().exchange({
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    path,
    headers,
    ...(body === undefined
      ? {}
      : { raw: { contentType: headers['content-type'] ?? 'application/json', body: () => body } }),
  });
  const head = include
    ? `HTTP ${answer.status}\n${Object.entries(answer.headers)
        .map(([name, value]) => `${name}: ${String(value)}`)
        .join('\n')}\n\n`
    : '';
  if (output !== undefined) writeFileSync(output, head + answer.text);
  else process.stdout.write(`${head}${answer.text}${answer.text.endsWith('\n') ? '' : '\n'}`);
  if (fail && answer.status >= ERROR_STATUS)
    throw new WordedError(`The API answered ${answer.status}.`, { exitCode: EXIT.curl });
}
