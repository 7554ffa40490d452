/** An internal API over a real unix socket, as the contract's table says it, for tests of the stager: builds, packages, layers, logs in memory. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { crc32 } from 'node:zlib';
import {
  type BuildFinish,
  type BuildOrder,
  buildClaim,
  buildFinish,
  buildHeartbeat,
  buildOrder,
  logBatch,
  type ToolchainRecord,
  toolchainRecord,
} from '@cupola/contract/internal';
import { openSandboxes } from '@cupola/sandbox/open-sandboxes';
import type { Sandboxes } from '@cupola/sandbox/sandbox';
import { extract } from 'tar-stream';

export interface FakeBuild {
  order: BuildOrder;
  zip: Buffer;
  fence: number;
  attempts: number;
  cancel: boolean;
  finish: BuildFinish | null;
  /** Lines of the staging log. */
  lines: string[];
}

export interface FakeApi extends AsyncDisposable {
  socketPath: string;
  layers: Map<string, Buffer>;
  toolchains: Map<string, ToolchainRecord>;
  /** Makes a build wait; the next hint names it. */
  offer(files: Record<string, ZipFile>, fields?: Partial<BuildOrder>): FakeBuild;
  offerZip(zip: Buffer, fields?: Partial<BuildOrder>): FakeBuild;
  /** Offered once more under a new fence, as after a lost lease. */
  offerAgain(build: FakeBuild): void;
  cancel(build: FakeBuild): void;
  /** Resolves when `holds` is true, looked at after each call that came in. */
  until(what: string, holds: () => boolean): Promise<void>;
  finished(build: FakeBuild): Promise<BuildFinish>;
  /** As a killed API: every connection breaks, nobody listens for a moment. */
  restart(): Promise<void>;
  /** Calls of a build that are taken and never answered, by their verb; `layers` are those that store one. */
  frozen: Set<string>;
  /** Every call that was answered with 400 or more by the fake's own checks. */
  refusals: string[];
}

export type ZipFile = string | Buffer | { content: string; mode?: number };

/** A zip whose entries are stored, so that a test says exactly what is in it. */
export function aZip(files: Readonly<Record<string, ZipFile>>): Buffer {
  const locals: Buffer[] = [];
  const centrals: Buffer[] = [];
  let offset = 0;
  for (const [path, file] of Object.entries(files)) {
    const isPlain = typeof file === 'string' || Buffer.isBuffer(file);
    const content = Buffer.from(isPlain ? file : file.content);
    const mode = isPlain ? 0o100644 : (file.mode ?? 0o100644);
    const name = Buffer.from(path);
    const sizes = Buffer.alloc(12);
    sizes.writeUInt32LE(crc32(content), 0);
    sizes.writeUInt32LE(content.length, 4);
    sizes.writeUInt32LE(content.length, 8);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(20, 4);
    local.writeUInt16LE(0x800, 6);
    sizes.copy(local, 14);
    local.writeUInt16LE(name.length, 26);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(0x0314, 4);
    central.writeUInt16LE(20, 6);
    central.writeUInt16LE(0x800, 8);
    sizes.copy(central, 16);
    central.writeUInt16LE(name.length, 28);
    central.writeUInt32LE((mode << 16) >>> 0, 38);
    central.writeUInt32LE(offset, 42);
    locals.push(local, name, content);
    centrals.push(central, name);
    offset += local.length + name.length + content.length;
  }
  const directory = Buffer.concat(centrals);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Object.keys(files).length, 8);
  end.writeUInt16LE(Object.keys(files).length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, directory, end]);
}

/** Sandboxes for builds on this machine, in a folder of their own. */
export async function testSandboxes(folder: string): Promise<Sandboxes> {
  return openSandboxes({
    folder: join(folder, 'sandboxes'),
    installation: `test-${randomUUID().slice(0, 8)}`,
    allowUnsandboxed: false,
    canaryUid: 69_998,
    separateNetwork: false,
  });
}

/** Entries of a tar: name without the slash that ends a folder -> mode in octal and text. */
export async function readTar(tar: Buffer): Promise<Map<string, { type: string; mode: string; text: string }>> {
  const entries = new Map<string, { type: string; mode: string; text: string }>();
  const unpack = extract();
  Readable.from([tar]).pipe(unpack);
  for await (const entry of unpack) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry) chunks.push(chunk as Buffer);
    const { name, type, mode } = entry.header;
    entries.set(name.replace(/\/$/, ''), {
      type: type ?? '',
      mode: (mode ?? 0).toString(8),
      text: Buffer.concat(chunks).toString('utf8'),
    });
  }
  return entries;
}

/** A hint that nobody has followed; longer than a busy machine takes for the claim: a second one would count as another attempt. */
const HINT_REPEAT_MS = 5_000;
/** Longer than anything takes on a busy machine; shorter than a test may last. */
const WAIT_MS = 110_000;

const AN_ORDER = {
  leaseMs: 30_000,
  appName: 'app',
  spaceName: 'dev',
  organizationName: 'cupola',
  buildpacks: [],
  detectOrder: ['staticfile_buildpack', 'nodejs_buildpack', 'binary_buildpack'],
  stack: 'host',
  environment: { VCAP_APPLICATION: '{}', VCAP_SERVICES: '{}' },
  memoryMb: 512,
  diskMb: 512,
  timeoutMs: 60_000,
};

export async function startFakeApi(): Promise<FakeApi> {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-api-'));
  const state: State = {
    builds: new Map(),
    waiting: [],
    layers: new Map(),
    toolchains: new Map(),
    refusals: [],
    frozen: new Set(),
    wakes: new Set(),
    watchers: new Set(),
  };
  const server = createServer((request, response) => {
    answer(state, request, response).catch((error: unknown) => {
      state.refusals.push(`${request.method} ${request.url}: ${String(error)}`);
      response.writeHead(400).end(String(error));
    });
  });
  const socketPath = join(folder, 's');
  await new Promise<void>(resolve => server.listen(socketPath, resolve));
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise(resolve => server.close(resolve));
  };
  return {
    ...apiOf(state, socketPath),
    restart: async () => {
      await close();
      await new Promise<void>(resolve => server.listen(socketPath, resolve));
    },
    [Symbol.asyncDispose]: async () => {
      await close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

interface State {
  builds: Map<string, FakeBuild>;
  waiting: string[];
  layers: Map<string, Buffer>;
  toolchains: Map<string, ToolchainRecord>;
  refusals: string[];
  frozen: Set<string>;
  wakes: Set<() => void>;
  watchers: Set<ServerResponse>;
}

function wake(state: State): void {
  for (const look of state.wakes) look();
}

function apiOf(state: State, socketPath: string): Omit<FakeApi, 'restart' | typeof Symbol.asyncDispose> {
  const until = (what: string, holds: () => boolean): Promise<void> =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        state.wakes.delete(look);
        reject(new Error(`still waiting until ${what}; refused: ${state.refusals.join('; ')}`));
      }, WAIT_MS);
      const look = (): void => {
        if (!holds()) return;
        clearTimeout(timer);
        state.wakes.delete(look);
        resolve();
      };
      state.wakes.add(look);
      look();
    });
  const offerZip: FakeApi['offerZip'] = (zip, fields = {}) => {
    const buildGuid = randomUUID();
    const order = buildOrder.parse({
      ...AN_ORDER,
      buildGuid,
      fence: 0,
      attempt: 0,
      appGuid: randomUUID(),
      packageGuid: randomUUID(),
      packageDigest: createHash('sha256').update(zip).digest('hex'),
      packageSizeBytes: zip.length,
      ...fields,
    });
    const build: FakeBuild = { order, zip, fence: 0, attempts: 0, cancel: false, finish: null, lines: [] };
    state.builds.set(buildGuid, build);
    state.waiting.push(buildGuid);
    wake(state);
    return build;
  };
  return {
    socketPath,
    layers: state.layers,
    toolchains: state.toolchains,
    refusals: state.refusals,
    frozen: state.frozen,
    until,
    offerZip,
    offer: (files, fields) => offerZip(aZip(files), fields),
    offerAgain: build => {
      state.waiting.push(build.order.buildGuid);
      wake(state);
    },
    cancel: build => {
      build.cancel = true;
      const item = { guid: build.order.buildGuid, fence: build.fence, cancel: true };
      for (const watcher of state.watchers)
        watcher.write(`\n${JSON.stringify({ type: 'upsert', epoch: 'e', revision: 1, item })}\n`);
    },
    finished: async build => {
      await until('the build has ended', () => build.finish !== null);
      return build.finish as BuildFinish;
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

async function answer(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://fake');
  const [, , kind = '', id = '', verb = ''] = url.pathname.split('/');
  const json = (status: number, body: unknown): void => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  const parsed = async (): Promise<unknown> => JSON.parse((await bodyOf(request)).toString('utf8'));
  if (state.frozen.has(kind === 'layers' && request.method === 'PUT' ? kind : verb)) return void request.resume();
  if (kind === 'layers') await answerLayer(state, id, url, request, response);
  else if (kind === 'toolchains' && request.method === 'GET') {
    const record = state.toolchains.get(decodeURIComponent(id));
    if (record === undefined) response.writeHead(404).end();
    else json(200, record);
  } else if (kind === 'toolchains') {
    const record = toolchainRecord.parse(await parsed());
    if (!state.layers.has(record.layer.digest)) throw new Error('a toolchain without its layer');
    state.toolchains.set(decodeURIComponent(id), record);
    response.writeHead(204).end();
  } else if (id === 'next') await answerNext(state, url, response, json);
  else if (id === 'watch') {
    response.writeHead(200).write(`${JSON.stringify({ type: 'snapshot', epoch: 'e', revision: 0, items: [] })}\n`);
    state.watchers.add(response);
    response.on('close', () => state.watchers.delete(response));
  } else {
    const build = state.builds.get(id);
    if (build === undefined) return void response.writeHead(404).end();
    await answerBuild(build, { verb, url, response, json, parsed });
  }
  wake(state);
}

/** The query's fence must be the build's newest: what an API checks of every call after the claim. */
const holdsFence = (build: FakeBuild | undefined, fence: number): boolean =>
  build !== undefined && build.fence === fence;

async function answerLayer(
  state: State,
  digest: string,
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const stored = state.layers.get(digest);
  if (request.method === 'PUT') {
    const body = await bodyOf(request);
    const toolchain = url.searchParams.get('toolchain');
    const build = state.builds.get(url.searchParams.get('build') ?? '');
    if (toolchain === null && !holdsFence(build, Number(url.searchParams.get('fence'))))
      return void response.writeHead(409).end();
    if (createHash('sha256').update(body).digest('hex') !== digest) throw new Error('another digest');
    state.layers.set(digest, body);
    response.writeHead(201).end();
  } else if (stored === undefined) response.writeHead(404).end();
  else response.writeHead(200, { 'content-length': stored.length }).end(request.method === 'HEAD' ? undefined : stored);
}

async function answerNext(
  state: State,
  url: URL,
  response: ServerResponse,
  json: (status: number, body: unknown) => void,
): Promise<void> {
  const give = (): boolean => {
    const buildGuid = state.waiting.shift();
    if (buildGuid === undefined) return false;
    json(200, { buildGuid });
    hintAgain(state, buildGuid);
    return true;
  };
  if (give()) return;
  const look = (): void => {
    if (give()) end();
  };
  const timer = setTimeout(
    () => {
      end();
      response.writeHead(204).end();
    },
    Number(url.searchParams.get('wait_ms')),
  );
  const end = (): void => {
    clearTimeout(timer);
    state.wakes.delete(look);
  };
  response.on('close', end);
  state.wakes.add(look);
}

/** As the API's outbox does: who was given the hint may have been gone already. */
function hintAgain(state: State, buildGuid: string): void {
  const build = state.builds.get(buildGuid);
  const attempts = build?.attempts;
  const timer = setTimeout(() => {
    if (build === undefined || build.attempts !== attempts || build.cancel || build.finish !== null) return;
    state.waiting.push(buildGuid);
    wake(state);
  }, HINT_REPEAT_MS);
  timer.unref();
}

interface Call {
  verb: string;
  url: URL;
  response: ServerResponse;
  json(status: number, body: unknown): void;
  parsed(): Promise<unknown>;
}

async function answerBuild(build: FakeBuild, { verb, url, response, json, parsed }: Call): Promise<void> {
  const refused = (fence: number): boolean => {
    if (holdsFence(build, fence) && build.finish === null) return false;
    response.writeHead(409).end();
    return true;
  };
  if (verb === 'claim') {
    buildClaim.parse(await parsed());
    if (build.cancel || build.finish !== null) return void response.writeHead(409).end();
    build.fence++;
    build.attempts++;
    json(200, buildOrder.parse({ ...build.order, fence: build.fence, attempt: build.attempts }));
  } else if (verb === 'heartbeat') {
    const { fence } = buildHeartbeat.parse(await parsed());
    if (!refused(fence)) json(200, { leaseMs: build.order.leaseMs, cancel: build.cancel });
  } else if (verb === 'logs') {
    build.lines.push(...logBatch.parse(await parsed()).envelopes.map(({ line }) => line));
    response.writeHead(204).end();
  } else if (verb === 'package') {
    if (!refused(Number(url.searchParams.get('fence')))) response.writeHead(200).end(build.zip);
  } else if (verb === 'finish') {
    const finish = buildFinish.parse(await parsed());
    if (refused(finish.fence)) return;
    build.finish = finish;
    response.writeHead(204).end();
  } else response.writeHead(404).end();
}
