/** Calls and watches of the internal listener over its real socket, for tests. */
import http from 'node:http';
import type { CellRegistration, CopyReport, StagedResult, WatchLine } from '@cupola/contract/internal';
import type { Json } from '../fixtures.ts';

export interface InternalAnswer {
  status: number;
  body: Json;
}

/** @param body sent as JSON; bytes as they are. */
export function callInternal(
  socketPath: string,
  method: string,
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<InternalAnswer> {
  const bytes = body === undefined || Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body));
  return new Promise((resolve, reject) => {
    const request = http.request(
      { socketPath, method, path, agent: false, ...(signal ? { signal } : {}) },
      response => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: read(response, Buffer.concat(chunks)) }),
        );
      },
    );
    request.on('error', reject);
    request.end(bytes);
  });
}

function read({ headers }: http.IncomingMessage, bytes: Buffer): Json {
  if (bytes.length === 0) return undefined;
  return headers['content-type'] === 'application/json' ? JSON.parse(bytes.toString()) : bytes;
}

type Item = { guid: string } & Json;
type Line = WatchLine<Item>;

export interface TestWatch extends Disposable {
  /** The next line that is not empty. Rejects when the watch has ended. */
  next(): Promise<Line>;
  /** The first line that `is` accepts, from the next one on. */
  until(is: (line: Line) => boolean): Promise<Line>;
  /** What a watcher knows after the lines read so far. */
  readonly items: ReadonlyMap<string, Item>;
  readonly cursor: { epoch: string; revision: number };
}

/** Resolves with the first line read: a snapshot, or what was missed since `after`. */
export async function openWatch(
  socketPath: string,
  path: string,
  after?: { cursor: TestWatch['cursor']; items: ReadonlyMap<string, Item> },
): Promise<TestWatch> {
  const query = after === undefined ? '' : `?epoch=${after.cursor.epoch}&after=${after.cursor.revision}`;
  const request = http.get({ socketPath, path: `${path}${query}`, agent: false });
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    request.on('response', resolve);
    request.on('error', reject);
  });
  if (response.statusCode !== 200) throw new Error(`the watch was answered with ${response.statusCode}`);
  const items = new Map<string, Item>(after?.items ?? []);
  let cursor = after?.cursor ?? { epoch: '', revision: -1 };
  const lines = readLines(response);
  const next = async (): Promise<Line> => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error('the watch has ended');
    apply(items, value);
    cursor = { epoch: value.epoch, revision: value.revision };
    return value;
  };
  await next();
  return {
    next,
    until: async is => {
      for (;;) {
        const line = await next();
        if (is(line)) return line;
      }
    },
    items,
    get cursor() {
      return cursor;
    },
    [Symbol.dispose]: () => request.destroy(),
  };
}

async function* readLines(response: http.IncomingMessage): AsyncGenerator<Line> {
  let held = '';
  response.setEncoding('utf8');
  for await (const chunk of response as AsyncIterable<string>) {
    const lines = (held + chunk).split('\n');
    held = lines.pop() ?? '';
    for (const line of lines) if (line !== '') yield JSON.parse(line) as Line;
  }
}

/** As every watcher of ours does it. */
export function apply(items: Map<string, Item>, line: Line): void {
  if (line.type === 'snapshot') {
    items.clear();
    for (const item of line.items) items.set(item.guid, item);
  } else if (line.type === 'upsert') items.set(line.item.guid, line.item);
  else if (line.type === 'remove') items.delete(line.guid);
}

export function aRegistration(given: Partial<CellRegistration> = {}): CellRegistration {
  const enforced = Object.fromEntries(
    ['pid', 'net', 'fs', 'mem', 'cpu', 'pids', 'disk', 'seccomp', 'userns', 'egress', 'uid'].map(name => [name, true]),
  ) as CellRegistration['rung']['enforced'];
  return {
    cellId: 'cell-1',
    session: 'session-1',
    name: 'cell one',
    zone: 'z1',
    stacks: [{ name: 'host', digest: 'd', abiKey: 'a' }],
    rung: { driver: 'bwrap', rung: 'bwrap', enforced, missing: [] },
    capacity: { memoryMb: 4_096, diskMb: 20_480, copies: 250 },
    ...given,
  };
}

/** A healthy copy, as its agent says it. */
export function aCopyReport(
  given: Partial<CopyReport> & Pick<CopyReport, 'guid' | 'appGuid' | 'processGuid'>,
): CopyReport {
  return {
    generation: 1,
    index: 0,
    runSpecGuid: 'spec',
    state: 'RUNNING',
    attempt: 1,
    address: { host: '127.0.0.1', port: 61_001 },
    routable: true,
    crashCount: 0,
    restartAtMs: null,
    sinceMs: 1_767_323_045_000,
    exit: null,
    placementError: null,
    ...given,
  };
}

export function aResult(given: Partial<StagedResult> = {}): StagedResult {
  return {
    layers: [],
    buildpacks: [{ name: 'nodejs_buildpack', buildpackName: 'nodejs', detectOutput: 'nodejs', version: '1' }],
    processTypes: { web: 'npm start' },
    sidecars: [],
    executionMetadata: '',
    stack: 'host',
    stackDigest: 'stack-digest',
    abiKey: 'abi',
    imageDigest: null,
    ...given,
  };
}
