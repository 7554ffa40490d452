/**
 * One build in its sandbox: what it sees, and what comes out of it. The stager neither opens the upload nor reads the app: it hands both in, and takes a tar
 * and a few words back, counted, hashed and parsed here, since code of the app may have written them.
 */
import { createHash } from 'node:crypto';
import { chmodSync, createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { basename, join } from 'node:path';
import { finished } from 'node:stream/promises';
import type { ToolchainAsk } from '@cupola/buildpacks/buildpack';
import { StagingFailedError } from '@cupola/model/errors';
import { INSTANCE_LIMITS } from '@cupola/model/limits';
import type { Network, RunningSandbox, SandboxExit, Sandboxes, SandboxSpec } from '@cupola/sandbox/sandbox';
import type { BuildpackZip } from './buildpack-zips.ts';
import { encodeFrame, readFrames } from './inside/frames.ts';
import { type Begin, type Failed, fromInside, type Staged, type ToInside } from './protocol.ts';
import type { MadeToolchain } from './toolchains/toolchains.ts';

/**
 * How long a build may take to end once it has said its result (ours). Node.js 24 may stand still for ever in its own end: `process.exit()` waits for V8's
 * threads, and one that compiles waits for the main thread to collect garbage (seen by a debugger in a build that hung for minutes).
 */
const END_MS = 3_000;
/** Toolchains that one build may ask for: a few are needed. */
const ASKS_MAX = 20;

/** The network of one build. */
export interface BuildNetwork {
  network: Network;
  /** Addresses of name servers that are reached from it; null: as this machine resolves. */
  resolvers: string[] | null;
  release(): Promise<void>;
}

export interface BuildPlaces {
  /** The package's zip. */
  packageFile: string;
  /** An empty folder for the socket and the layer; short, since a socket's path must fit 108 bytes. */
  work: string;
  cache: string;
  toolchains: string;
  /** Of those that are not the platform's own. */
  buildpacks: readonly BuildpackZip[];
  /** Compiled code of what runs inside; made ahead. */
  compileCache: string;
  /** Additional certificates of the operator's npm; null: none. */
  cafile: string | null;
}

export interface InsideJob {
  guid: string;
  uid: number | null;
  places: BuildPlaces;
  network: BuildNetwork;
  limits: { memoryMb: number; diskMb: number };
  /** Folder of the root filesystem to build on; null: this machine itself. */
  stackRoot: string | null;
  begin: Omit<Begin, 'type' | 'packageFile' | 'home' | 'tools' | 'cache' | 'ownPids' | 'customBuildpacks'>;
  toolchain(ask: ToolchainAsk): Promise<MadeToolchain>;
  /** Stores the layer; begun while the sandbox is still ending. */
  keep(layer: SpooledLayer): Promise<void>;
  line(text: string, type: 'OUT' | 'ERR'): void;
}

export interface SpooledLayer {
  file: string;
  digest: string;
  sizeBytes: number;
}

export interface InsideEnd {
  /** What it said at its end; null when it said nothing. */
  said: Staged | Failed | null;
  /** The app layer, kept; null unless `said` is `staged`. */
  layer: SpooledLayer | null;
  exit: SandboxExit;
  /** Removes what is left of the sandbox: some 20 ms that no result needs to wait for. */
  remove(): Promise<void>;
}

/** Where things are inside. A plain process sees no mounts, so there they are where they are. */
function pathsInside({ report }: Sandboxes, { places, uid }: Pick<InsideJob, 'places' | 'uid'>) {
  if (report.rung === 'process')
    return {
      node: process.execPath,
      sources: SOURCES,
      socket: socketOf(places),
      packageFile: places.packageFile,
      home: join(places.work, 'home'),
      tools: join(places.work, 'tools'),
      cache: places.cache,
      toolchains: places.toolchains,
      compileCache: uid === null ? places.compileCache : '',
      cafile: places.cafile,
      buildpacks: places.buildpacks,
    };
  return {
    node: '/run/cupola/node/bin/node',
    sources: '/run/cupola/sources',
    socket: '/run/cupola/stager.sock',
    packageFile: '/run/cupola/package.zip',
    home: '/home/vcap',
    tools: '/tmp/home',
    cache: '/cache',
    toolchains: '/toolchains',
    compileCache: '/run/cupola/compile-cache',
    cafile: places.cafile === null ? null : '/run/cupola/npm-ca.pem',
    buildpacks: places.buildpacks.map(({ name, file }) => ({ name, file: `/run/cupola/buildpacks/${basename(file)}` })),
  };
}

/** The root of what is installed: our own code is shown to the build, which runs it. */
const SOURCES = join(import.meta.dirname, '../../..');
const socketOf = ({ work }: BuildPlaces): string => join(work, 's');

/**
 * Runs a build to its end, which `stop` brings about at once.
 * @throws SandboxError when no sandbox could be set up; nothing is left behind then.
 */
export async function runInside(sandboxes: Sandboxes, job: InsideJob, stop: AbortSignal): Promise<InsideEnd> {
  const spool = openSpool(join(job.places.work, 'layer.tar'), job.limits.diskMb);
  const talk = Promise.withResolvers<Said>();
  talk.promise.catch(() => undefined); // Waited for once the sandbox has ended.
  let sandbox: RunningSandbox | null = null;
  let late: NodeJS.Timeout | undefined;
  const hasSaid = (): void => {
    late = setTimeout(() => void sandbox?.kill(), END_MS);
  };
  const server = await listen(socketOf(job.places), socket => {
    converse(socket, { job, sandboxes, spool, hasSaid }).then(talk.resolve, error => {
      talk.reject(error);
      socket.destroy();
    });
  });
  try {
    sandbox = await sandboxes.start(await specOf(sandboxes, job));
    const kill = (): void => void sandbox?.kill();
    stop.addEventListener('abort', kill, { once: true });
    if (stop.aborted) kill();
    for await (const { line, stream } of sandbox.output()) job.line(line, stream === 'out' ? 'OUT' : 'ERR');
    const exit = await sandbox.ended;
    stop.removeEventListener('abort', kill);
    // The socket's last bytes may still be on their way; where nobody ever connected nothing will come.
    if (!server.connected()) talk.resolve({ said: null, layer: null });
    return { ...(await talk.promise), exit, remove: () => sandbox?.remove() ?? Promise.resolve() };
  } catch (error) {
    await sandbox?.kill();
    await sandbox?.remove();
    throw error;
  } finally {
    clearTimeout(late);
    server.close();
    await spool.close().catch(() => undefined); // What failed to be written has been told by `converse`.
  }
}

type Said = Pick<InsideEnd, 'said' | 'layer'>;

async function specOf(
  sandboxes: Sandboxes,
  { guid, uid, places, network, limits, stackRoot }: InsideJob,
): Promise<SandboxSpec> {
  const inside = pathsInside(sandboxes, { places, uid });
  const readOnly = (source: string, target: string): SandboxSpec['mounts'][number] => ({
    source,
    target,
    mode: 'read-only',
  });
  const resolver =
    network.resolvers === null
      ? await readFile('/etc/resolv.conf', 'utf8').catch(() => '')
      : network.resolvers.map(one => `nameserver ${one}\n`).join('');
  return {
    guid,
    ...(stackRoot === null ? {} : { stackRoot }),
    uid: uid ?? process.getuid?.() ?? 0,
    mounts: [
      readOnly(process.execPath, inside.node),
      ...sourceMounts(inside.sources),
      readOnly(places.packageFile, inside.packageFile),
      readOnly(places.toolchains, inside.toolchains),
      readOnly(places.compileCache, inside.compileCache),
      { source: socketOf(places), target: inside.socket, mode: 'writable' },
      { source: places.cache, target: inside.cache, mode: 'writable' },
      ...places.buildpacks.map(({ file }, index) => readOnly(file, inside.buildpacks[index]?.file ?? file)),
      ...(places.cafile === null || inside.cafile === null ? [] : [readOnly(places.cafile, inside.cafile)]),
    ],
    files: { '/etc/resolv.conf': resolver },
    argv: entryCommand(inside.node, inside.sources, [inside.socket, inside.compileCache]),
    cwd: '/',
    environment: { PATH: DEFAULT_PATH },
    limits: {
      memoryMb: limits.memoryMb,
      diskMb: limits.diskMb,
      cpuShare: limits.memoryMb / 1024,
      pidsMax: INSTANCE_LIMITS.pidsMax,
    },
    network: network.network,
    logRateBytesPerSecond: -1,
  };
}

export const DEFAULT_PATH = '/usr/local/bin:/usr/bin:/bin';

/** Our code and its libraries, and nothing beside them: a data folder may lie in the same checkout. */
function sourceMounts(target: string): SandboxSpec['mounts'] {
  return ['packages', 'node_modules', 'apps/stager'].map(path => ({
    source: join(SOURCES, path),
    target: `${target}/${path}`,
    mode: 'read-only',
  }));
}

/** Compiling beside the main thread is what may stand in the way of its end (see `END_MS`); a build has little to compile. */
const NODE_FLAGS = ['--disable-warning=ExperimentalWarning', '--no-concurrent-sparkplug'];

function entryCommand(node: string, sources: string, args: string[]): string[] {
  return [node, ...NODE_FLAGS, join(sources, 'apps/stager/src/inside/entry.mjs'), ...args];
}

interface Listening {
  close(): void;
  connected(): boolean;
}

/** One build, one connection: whoever comes second is code of the app. */
async function listen(path: string, talk: (socket: Socket) => void): Promise<Listening> {
  let isConnected = false;
  const server: Server = createServer(socket => {
    if (isConnected) return void socket.destroy();
    isConnected = true;
    talk(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  // Reached only through the sandbox's mount: its folder is closed to others.
  chmodSync(path, 0o666);
  return { close: () => void server.close(), connected: () => isConnected };
}

interface Conversation {
  job: InsideJob;
  sandboxes: Sandboxes;
  spool: Spool;
  /** Its result is there: only its end is waited for. */
  hasSaid(): void;
}

async function converse(socket: Socket, { job, sandboxes, spool, hasSaid }: Conversation): Promise<Said> {
  socket.on('error', () => socket.destroy());
  const inside = pathsInside(sandboxes, job);
  const send = (message: ToInside): void => void socket.write(encodeFrame('J', JSON.stringify(message)));
  send({
    ...job.begin,
    type: 'begin',
    packageFile: inside.packageFile,
    home: inside.home,
    tools: inside.tools,
    cache: inside.cache,
    ownPids: sandboxes.report.enforced.pid,
    customBuildpacks: [...inside.buildpacks],
    npmrc: `${job.begin.npmrc}${inside.cafile === null ? '' : `cafile=${inside.cafile}\n`}`,
  });
  let said: Staged | Failed | null = null;
  let kept: Promise<SpooledLayer> | null = null;
  let asks = 0;
  for await (const { kind, body } of readFrames(socket)) {
    if (said !== null) break; // Nothing that comes after its result counts.
    if (kind === 'T') {
      await spool.write(body);
      continue;
    }
    const message = fromInside.parse(JSON.parse(body.toString('utf8')));
    if (message.type === 'toolchain') {
      if (++asks > ASKS_MAX) throw new Error('it asked for too many toolchains');
      void answerAsk(job, inside.toolchains, message).then(send);
      continue;
    }
    said = message;
    hasSaid();
    if (said.type === 'staged') kept = keepLayer(job, spool);
    kept?.catch(() => undefined); // Waited for below, once the socket has ended.
  }
  return { said, layer: (await kept) ?? null };
}

async function keepLayer(job: InsideJob, spool: Spool): Promise<SpooledLayer> {
  const layer = await spool.close();
  await job.keep(layer);
  return layer;
}

async function answerAsk(
  job: InsideJob,
  toolchains: string,
  { id, ask }: { id: number; ask: ToolchainAsk },
): Promise<ToInside> {
  try {
    const { name, version, folderName } = await job.toolchain(ask);
    return { type: 'toolchain', id, toolchain: { name, version, path: join(toolchains, folderName) }, error: null };
  } catch (error) {
    // A title is the app's failure; none is ours, and the build is tried again.
    const title = error instanceof StagingFailedError ? error.title : '';
    return { type: 'toolchain', id, toolchain: null, error: { title, message: (error as Error).message } };
  }
}

interface Spool {
  write(chunk: Buffer): Promise<void>;
  close(): Promise<SpooledLayer>;
}

/** Takes the layer's tar: hashed here, since a digest from inside could name somebody else's layer. */
function openSpool(file: string, diskMb: number): Spool {
  const out = createWriteStream(file, { flags: 'wx', mode: 0o600 });
  const hash = createHash('sha256');
  // Files that are all holes take no disk inside, and would here. Headers and padding of small files are allowed for.
  const maxBytes = diskMb * 1024 * 1024 * 2;
  let sizeBytes = 0;
  let closed: Promise<SpooledLayer> | undefined;
  out.on('error', () => undefined); // Told by the write or the end that waits for it.
  return {
    write: async chunk => {
      sizeBytes += chunk.length;
      if (sizeBytes > maxBytes) throw new Error(`what it left is larger than its disk of ${diskMb} MB`);
      hash.update(chunk);
      await new Promise<void>((resolve, reject) => out.write(chunk, error => (error ? reject(error) : resolve())));
    },
    close: () => {
      closed ??= (async () => {
        out.end();
        await finished(out);
        return { file, digest: hash.digest('hex'), sizeBytes };
      })();
      return closed;
    },
  };
}

/** Loads in a sandbox what every build loads, so that builds find it compiled: half of the time that a small app's build takes. */
export async function warmCompileCache(
  sandboxes: Sandboxes,
  { guid, uid, folder }: { guid: string; uid: number | null; folder: string },
): Promise<void> {
  if (sandboxes.report.rung === 'process') return;
  const sources = '/run/cupola/sources';
  const cache = '/run/cupola/compile-cache';
  const node = '/run/cupola/node/bin/node';
  const sandbox = await sandboxes.start({
    guid,
    uid: uid ?? process.getuid?.() ?? 0,
    mounts: [
      { source: process.execPath, target: node, mode: 'read-only' },
      ...sourceMounts(sources),
      { source: folder, target: cache, mode: 'writable' },
    ],
    files: {},
    argv: entryCommand(node, sources, ['-', cache]),
    cwd: '/',
    environment: { PATH: DEFAULT_PATH },
    limits: { memoryMb: 256, diskMb: 16, cpuShare: 0.1, pidsMax: 64 },
    network: { kind: 'host' },
    logRateBytesPerSecond: -1,
  });
  await sandbox.ended;
  await sandbox.remove();
}
