/** `down`, `restart` and `status`: they speak to a running supervisor by its socket. */
import http from 'node:http';
import { join } from 'node:path';
import type { RungReport } from '@cupola/contract/internal';
import { sentence } from '@cupola/model/sentence';
import { listInstances } from '../instances.ts';
import { internalGet } from '../internal-call.ts';
import { blobsFailure, blobsPlace } from '../open-blobs.ts';
import { EMBEDDED, shownPlace, storePlace } from '../open-store.ts';
import { command, dataFolder, PlainError } from '../platform-config.ts';
import { isAlive } from '../process-life.ts';
import { ownPrograms, type Programs } from '../programs.ts';
import { type PlatformStatus, socketPath } from '../supervisor.ts';

interface Flags {
  data?: string;
  json?: boolean;
}

/** Null when no supervisor answers there. */
export async function askSupervisor(
  data: string,
  path: '/status' | '/ready' | `/restart?${string}` | '/down',
): Promise<PlatformStatus | null> {
  const { status, text } = await new Promise<{ status: number; text: string }>((resolve, reject) => {
    const request = http.get({ socketPath: socketPath(data), path }, response => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    request.on('error', reject);
  }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') return { status: 0, text: '' };
    if (error.code === 'EACCES')
      throw new PlainError(`The platform in ${data} belongs to another user. Run this as that user.`);
    throw error;
  });
  if (status === 0) return null;
  if (status !== 200)
    throw new PlainError(`${sentence(`The platform in ${data} answered: ${text}`)} Its parts write to ${data}/log.`);
  return JSON.parse(text) as PlatformStatus;
}

function notRunning(data: string): PlainError {
  return new PlainError(`No platform runs with the data folder ${data}. Start it: ${command('up', data)}`);
}

/** A process that has nothing left to do ends within milliseconds. */
const LAST_ACT_MS = 5_000;

export async function down(flags: Flags): Promise<void> {
  const data = dataFolder(flags.data);
  const status = await askSupervisor(data, '/down');
  // It answers as its last act: "down" is said once nothing of it runs any more.
  for (const end = performance.now() + LAST_ACT_MS; status !== null && performance.now() < end; )
    if (isAlive(status.pid, undefined)) await new Promise(resolve => setTimeout(resolve, 5));
    else break;
  if (flags.json) console.log(JSON.stringify({ data, down: status !== null }));
  else
    console.log(
      status === null
        ? `No platform runs with the data folder ${data}.`
        : status.joined !== null
          ? `This machine's parts are down. The cluster starts elsewhere what ran here.`
          : `Cupola is down. Apps and users are kept: ${command('up', data)} brings everything back.`,
    );
}

/** By the programs of who asks, if they are of the platform's checkout. */
export function restartPath({ root, bundle }: Programs): `/restart?${string}` {
  return `/restart?${new URLSearchParams({ root, ...(bundle === null ? {} : { bundle }) })}`;
}

export async function restart(flags: Flags): Promise<void> {
  const data = dataFolder(flags.data);
  const status = await askSupervisor(data, restartPath(ownPrograms()));
  if (status === null) throw notRunning(data);
  if (flags.json) console.log(JSON.stringify(status));
  else console.log('Every part of Cupola has been swapped for a fresh one; the instances ran on.');
}

export async function status(flags: Flags): Promise<void> {
  const data = dataFolder(flags.data);
  const found = await askSupervisor(data, '/status');
  if (found === null) throw notRunning(data);
  if (found.joined !== null) return memberStatus(found, flags);
  const instances = await listInstances(data);
  const cells = await listCells(data);
  const state = join(data, 'state');
  const store = shownPlace(storePlace(state));
  const blobs = blobsText(state);
  if (flags.json)
    return console.log(
      JSON.stringify(
        { ...found, store, blobs, cells: cells.map(({ name, rung }) => ({ name, rung })), instances },
        null,
        2,
      ),
    );
  console.log(
    `api    ${found.api}\napps   http://NAME.${found.domain}:${found.port}, https://NAME.${found.domain}:${found.httpsPort}\ndata   ${found.data}${store === EMBEDDED ? '' : `\nstore  ${store}`}${blobs === EMBEDDED ? '' : `\nblobs  ${blobs}`}`,
  );
  console.log(`${cells.flatMap(cellLines).join('\n')}\n`);
  showParts(found);
  console.log(
    instances.length === 0 ? '\nno instances' : '\ninstance                        state     restarts  since',
  );
  for (const { app, process, index, state, crashes, since } of instances.slice(0, SHOWN_MAX))
    console.log(
      `${`${app}/${process}/${index}`.padEnd(31)} ${state.padEnd(9)} ${String(crashes).padEnd(9)} ${new Date(since).toISOString()}`,
    );
  const more = instances.length - SHOWN_MAX;
  if (more > 0) console.log(`and ${more} more: ./cupola status --json, or by app: ./cupola apps`);
}

/** Lines of instances that somebody reads. */
const SHOWN_MAX = 200;

function blobsText(state: string): string {
  const { place, next } = blobsPlace(state);
  if (next === null) return shownPlace(place);
  const failure = blobsFailure(state);
  return `${shownPlace(place)}, on their way to ${shownPlace(next)}${failure === null ? '' : ` (not now: ${failure})`}`;
}

interface CellLine {
  name: string;
  rung: RungReport;
}

/** Empty while the API is away. */
async function listCells(data: string): Promise<CellLine[]> {
  const answer = (await internalGet(data, '/internal/cells')) as { cells: CellLine[] } | null;
  return answer?.cells ?? [];
}

/** What each cell says of its sandbox. */
function cellLines({ name, rung: { driver, rung, missing } }: CellLine): string[] {
  const where = `cell   ${name}: apps run in ${rung}${driver.startsWith('Docker') ? ` (${driver})` : ''}`;
  return missing.length === 0 ? [where] : [`${where}. Less than could be:`, ...missing.map(text => `       - ${text}`)];
}

function showParts(found: PlatformStatus): void {
  console.log('part        pid      restarts');
  for (const { name, pid, restarts } of [{ name: 'supervisor', pid: found.pid, restarts: 0 }, ...found.parts])
    console.log(`${name.padEnd(11)} ${String(pid ?? 'down').padEnd(8)} ${restarts}`);
}

/** Of a machine that has joined a cluster: what runs on it is told there. */
function memberStatus(found: PlatformStatus, { json }: Flags): void {
  if (json === true) {
    console.log(JSON.stringify(found, null, 2));
    return;
  }
  console.log(`member  ${found.joined?.join(', ')}\napi     ${found.api}\ndata    ${found.data}\n`);
  showParts(found);
  console.log('\nWhat runs here: ./cupola cells, on the machine of the API');
}
