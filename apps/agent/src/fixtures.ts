/** What the agent's tests stand on: real sandboxes, layers made here, placements with good defaults, and the fake API of fake-api.ts. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { packTar } from '@cupola/archive/tar';
import { type CopyReport, type PlacementItem, placementItem } from '@cupola/contract/internal';
import type { Layer } from '@cupola/model/run-spec';
import { openSandboxes } from '@cupola/sandbox/open-sandboxes';
import type { Sandboxes } from '@cupola/sandbox/sandbox';
import { pino } from 'pino';
import { type FakeApi, fakeApi } from './fake-api.ts';
import { type Agent, type AgentDeps, start } from './start.ts';

export const silentLog = pino({ level: 'silent' });
/** Limits of memory, and user ids, need it. */
export const isRoot = process.getuid?.() === 0;

/** A temp folder that goes with the test. */
export function tempFolder(): Disposable & { path: string } {
  const path = mkdtempSync(join(tmpdir(), 'cupola-agent-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true, maxRetries: 5 }) };
}

/** Waits for a condition that something outside makes true. Polls, since what it looks at tells nobody; gives up loudly. */
export async function until<T>(
  what: string,
  look: () => T | false | null | undefined | Promise<T | false | null | undefined>,
  withinMs = 50_000,
): Promise<T> {
  const end = performance.now() + withinMs;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}

/** A clock that stands still until it is told to go: what takes a busy machine long before that costs no time by it. */
export function waitingClock(): { monotonic(): number; go(): void } {
  const began = performance.now();
  let stoodMs: number | null = null;
  return {
    monotonic: () => (stoodMs === null ? began : performance.now() - stoodMs),
    go: () => {
      stoodMs = performance.now() - began;
    },
  };
}

/** Answers over HTTP: `/env` its environment, `/resolvers` its resolv.conf, `/exit/N` by ending with N, `/eat` by taking memory, `/say/N` with N lines of output; else `hello`. */
const SERVER = `
use IO::Socket::INET;
$| = 1;
$SIG{TERM} = sub { print "asked to end\\n"; exit 0 } unless $ENV{DEAF};
$SIG{TERM} = 'IGNORE' if $ENV{DEAF};
my $status = 200;
my $listen = IO::Socket::INET->new(LocalAddr => $ENV{LISTEN_ON} // '0.0.0.0', LocalPort => $ENV{LISTEN_PORT} // $ENV{PORT}, Listen => 64, ReuseAddr => 1)
  or die "bind: $!";
print "listening as $$\\n";
while (1) {
  my $client = $listen->accept or next;
  my $first = <$client> // '';
  while (my $line = <$client>) { last if $line =~ /^\\r?\\n$/ }
  my $body = 'hello';
  if ($first =~ m{ /env }) { $body = join "\\n", map { "$_=$ENV{$_}" } sort keys %ENV }
  elsif ($first =~ m{ /resolvers }) { open my $file, '<', '/etc/resolv.conf'; $body = join '', <$file> }
  elsif ($first =~ m{ /status/(\\d+)}) { $status = $1 }
  elsif ($first =~ m{ /say/(\\d+)}) { print "line $_\\n" for 1 .. $1 }
  elsif ($first =~ m{ /exit/(\\d+)}) { print "ending with $1\\n"; close $client; exit $1 }
  elsif ($first =~ m{ /eat }) { my @all; push @all, 'x' x 1_000_000 while 1 }
  my $answer = $first =~ m{ /health } ? $status : 200;
  print $client "HTTP/1.1 $answer Said\\r\\nContent-Length: " . length($body) . "\\r\\nConnection: close\\r\\n\\r\\n$body";
  close $client;
}
`;

export interface MadeLayer {
  layer: Layer;
  tar: Buffer;
}

/** A layer of these files, as the stager would have made it. */
export async function makeLayer(
  files: Record<string, string>,
  { mountPath = '/home/vcap', kind = 'app' as Layer['kind'] } = {},
): Promise<MadeLayer> {
  using folder = tempFolder();
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder.path, path)), { recursive: true });
    writeFileSync(join(folder.path, path), text, { mode: 0o755 });
  }
  const out = new PassThrough();
  const [info, chunks] = await Promise.all([
    packTar(folder.path, mountPath.slice(1), out),
    Array.fromAsync(out as AsyncIterable<Buffer>),
  ]);
  return { layer: { ...info, kind, mountPath }, tar: Buffer.concat(chunks) };
}

/** The app layer with the server of these tests. */
export function serverLayer(files: Record<string, string> = {}): Promise<MadeLayer> {
  return makeLayer({ 'app/server.pl': SERVER, 'tmp/.keep': '', ...files });
}

type RunSpec = PlacementItem['runSpec'];
const portCheck: RunSpec['healthCheck'] = {
  type: 'port',
  endpoint: null,
  timeoutMs: null,
  invocationTimeoutMs: null,
  intervalMs: null,
};

export function aRunSpec(layers: Layer[], overrides: Partial<RunSpec> = {}): RunSpec {
  return {
    guid: 'run-spec-1',
    appGuid: 'app-1',
    processGuid: 'process-1',
    processType: 'web',
    appName: 'hello',
    spaceGuid: 'space-1',
    spaceName: 'dev',
    organizationGuid: 'organization-1',
    organizationName: 'cupola',
    dropletGuid: 'droplet-1',
    layers,
    command: 'perl server.pl',
    environment: { VCAP_APPLICATION: JSON.stringify({ application_name: 'hello' }) },
    memoryMb: 64,
    diskMb: 64,
    logRateBytesPerSecond: 1024 * 1024,
    healthCheck: portCheck,
    readinessHealthCheck: { ...portCheck, type: 'process' },
    stack: 'host',
    ports: [8080],
    ...overrides,
  };
}

export function healthCheck(overrides: Partial<RunSpec['healthCheck']>): RunSpec['healthCheck'] {
  return { ...portCheck, ...overrides };
}

export function aPlacement(runSpec: RunSpec, overrides: Partial<PlacementItem> = {}): PlacementItem {
  return { guid: `copy-${randomUUID()}`, generation: 1, index: 0, startSequence: 0, runSpec, ...overrides };
}

/** A whole cell on a temp folder: fake API, real sandboxes, agents that come and go. All of it is gone at the end, with whatever still runs. */
export interface TestCell extends AsyncDisposable {
  api: FakeApi;
  folder: string;
  sandboxes: Sandboxes;
  /** An agent on the same folder in a process of its own, which is killed at the end if it still lives. */
  spawnAgent(): Promise<ChildProcess>;
  /** Another agent on the same folder; the one before should have been let go. */
  startAgent(overrides?: Partial<AgentDeps>): Promise<Agent>;
  /** Makes a layer known to the API. */
  add(made: MadeLayer): Layer;
  /** Places it and waits until it is RUNNING. */
  run(placement: PlacementItem): Promise<CopyReport>;
}

export async function testCell(): Promise<TestCell> {
  const stack = new AsyncDisposableStack();
  const { path: folder } = stack.use(tempFolder());
  const api = stack.use(await fakeApi(folder));
  const agents: Agent[] = [];
  const children: ChildProcess[] = [];
  const sandboxFolder = join(folder, 'sandboxes');
  // One for all: names of sandboxes are unique, and only one control group is left behind.
  const installation = 'agent-test';
  const sandboxes = await openSandboxes({
    folder: sandboxFolder,
    installation,
    allowUnsandboxed: false,
    canaryUid: 69_998,
    separateNetwork: false,
  });
  stack.defer(async () => {
    for (const child of children) child.kill('SIGKILL');
    for (const agent of agents) await agent[Symbol.asyncDispose]();
    for (const sandbox of await sandboxes.adopt()) {
      await sandbox.kill();
      await sandbox.ended;
      await sandbox.remove();
    }
    await sandboxes.close();
  });
  return {
    api,
    folder,
    sandboxes,
    startAgent: async overrides => {
      const agent = await start({
        internal: { socketPath: api.socketPath },
        sandboxes,
        networks: null,
        forward: null,
        folder: join(folder, 'agent'),
        cell: { id: api.cellId, name: 'test', zone: 'z1', capacityMemoryMb: 1_024, capacityDiskMb: 10_000 },
        stacks: () => [{ name: 'host', digest: 'd', abiKey: 'k', root: null }],
        uids: isRoot ? { first: 71_000, count: 100 } : null,
        log: silentLog,
        now: Date.now,
        monotonic: () => performance.now(),
        ...overrides,
      });
      agents.push(agent);
      return agent;
    },
    spawnAgent: async () => {
      const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts')], {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: {
          PATH: process.env.PATH,
          CUPOLA_STATE: folder,
          CUPOLA_CELL: folder,
          CUPOLA_CELL_ID: api.cellId,
          CUPOLA_INSTALLATION: installation,
          CUPOLA_LOG_LEVEL: 'silent',
        },
      });
      children.push(child);
      await new Promise(resolve => child.stdout.once('data', resolve));
      return child;
    },
    add: ({ layer, tar }) => {
      api.layers.set(layer.digest, tar);
      return layer;
    },
    run: async placement => {
      api.place(placementItem.parse(placement));
      return until('RUNNING', () => {
        const copy = api.copy(placement.guid);
        return copy?.state === 'RUNNING' && copy;
      });
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** The body that the copy answers with. */
export async function ask(copy: CopyReport, path = '/'): Promise<string> {
  const { host, port } = copy.address ?? { host: '', port: 0 };
  const answer = await fetch(`http://${host}:${port}${path}`);
  return answer.text();
}
