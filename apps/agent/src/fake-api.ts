/** A fake of the API's internal listener for tests: keeps the promises of `internal.ts` towards an agent, and checks all that it is sent by the contract's schemas. */
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import {
  type CellHeartbeat,
  type CellRegistration,
  type CopyReport,
  cellHeartbeat,
  cellRegistration,
  cellReport,
  type LogEnvelope,
  logBatch,
  type PeerItem,
  type PlacementItem,
} from '@cupola/contract/internal';

export interface FakeApi extends AsyncDisposable {
  readonly socketPath: string;
  readonly cellId: string;
  readonly registrations: CellRegistration[];
  readonly heartbeats: CellHeartbeat[];
  readonly logs: LogEnvelope[];
  /** Every report of a copy, oldest first. */
  readonly reports: CopyReport[];
  /** Digests that were asked for, once for each time. */
  readonly fetched: string[];
  /** Layers that can be fetched, by digest. */
  readonly layers: Map<string, Buffer>;
  /** What a request for a layer meets: the layer, a cut connection, or a 503. */
  layersAre: 'sent' | 'cut' | 'draining';
  /** Connections that watch placements. */
  readonly watchers: number;
  /** Cursors that watchers came with; null asked for a snapshot. */
  readonly asked: (string | null)[];
  /** Any item, so that one that is not understood can be tried too. */
  place(item: unknown): void;
  withdraw(guid: string): void;
  /** A network policy, an internal name or a domain. */
  tellPeer(item: PeerItem): void;
  withdrawPeer(guid: string): void;
  /** The newest word on a copy; undefined before the first. */
  copy(guid: string): CopyReport | undefined;
  /** The lines of one source, such as `APP/PROC/WEB` or `CELL`. */
  lines(sourceType: string): string[];
  /** As if a newer agent had registered: what the present one sends is answered 409. */
  fenceOff(): void;
  /** Makes this many next reports fail after they have been taken: the answer is lost. */
  loseAnswers(many: number): void;
  /** Stops listening and cuts every connection; `listen` brings it back with the same state. */
  away(): Promise<void>;
  listen(): Promise<void>;
}

const CELL = 'cell-1';
const EPOCH = 'epoch-1';

/** A feed, of placements say: a snapshot, or what has changed after the cursor. */
function createFeed() {
  const placements = new Map<string, unknown>();
  const history: { revision: number; line: string }[] = [];
  const watchers = new Set<ServerResponse>();
  const asked: (string | null)[] = [];
  let revision = 0;
  const say = (change: object): void => {
    revision++;
    const line = `${JSON.stringify({ ...change, epoch: EPOCH, revision })}\n`;
    history.push({ revision, line });
    for (const watcher of watchers) watcher.write(line);
  };
  return {
    asked,
    watchers,
    place: (item: unknown): void => {
      placements.set((item as PlacementItem).guid, item);
      say({ type: 'upsert', item });
    },
    withdraw: (guid: string): void => {
      placements.delete(guid);
      say({ type: 'remove', guid });
    },
    watch: (query: URLSearchParams, response: ServerResponse): void => {
      const after = query.get('after');
      asked.push(after);
      response.writeHead(200, { 'content-type': 'application/x-ndjson' });
      const at = { epoch: EPOCH, revision };
      if (query.get('epoch') === EPOCH) {
        for (const past of history) if (past.revision > Number(after)) response.write(past.line);
        response.write(`${JSON.stringify({ type: 'synced', ...at })}\n`);
      } else response.write(`${JSON.stringify({ type: 'snapshot', ...at, items: [...placements.values()] })}\n`);
      watchers.add(response);
      response.on('close', () => watchers.delete(response));
    },
  };
}

/** What agents have said, and whose word counts. */
function createBooks() {
  const registrations: CellRegistration[] = [];
  const heartbeats: CellHeartbeat[] = [];
  const logs: LogEnvelope[] = [];
  const reports: CopyReport[] = [];
  const sequences = new Map<string, number>();
  const books = { registrations, heartbeats, logs, reports, session: '', lostAnswers: 0 };
  const report = (body: unknown): void => {
    const { session, sequence, copies } = cellReport.parse(body);
    if (sequence <= (sequences.get(session) ?? 0)) return;
    sequences.set(session, sequence);
    reports.push(...copies);
    if (books.lostAnswers-- > 0) throw new Error('the answer is lost');
  };
  const handlers: Array<[path: RegExp, handle: (body: unknown) => unknown]> = [
    [
      /^\/internal\/cells$/,
      body => {
        const registration = cellRegistration.parse(body);
        books.session = registration.session;
        return { fence: registrations.push(registration) };
      },
    ],
    [
      /^\/internal\/cells\/cell-1\/heartbeat$/,
      body => {
        heartbeats.push(cellHeartbeat.parse(body));
        return { removed: [] };
      },
    ],
    [/^\/internal\/cells\/cell-1\/reports$/, report],
    [/^\/internal\/logs$/, body => void logs.push(...logBatch.parse(body).envelopes)],
  ];
  const answer = (path: string, body: { session?: string }): { status: number; said?: object } => {
    if (path.startsWith('/internal/cells/') && body.session !== books.session) return { status: 409 };
    const handle = handlers.find(([pattern]) => pattern.test(path))?.[1];
    if (handle === undefined) return { status: 404 };
    const said = handle(body);
    return typeof said === 'object' && said !== null ? { status: 200, said } : { status: 204 };
  };
  return { books, answer };
}

export async function fakeApi(folder: string): Promise<FakeApi> {
  const socketPath = join(folder, 'internal.sock');
  const feed = createFeed();
  const peers = createFeed();
  const { books, answer } = createBooks();
  const layers = new Map<string, Buffer>();
  const fetched: string[] = [];
  let server: http.Server | null = null;

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://api');
    const digest = /^\/internal\/layers\/([0-9a-f]{64})$/.exec(pathname)?.[1];
    if (pathname === `/internal/cells/${CELL}/watch`) feed.watch(searchParams, response);
    else if (pathname === '/internal/peers/watch') peers.watch(searchParams, response);
    else if (digest !== undefined) {
      fetched.push(digest);
      if (api.layersAre === 'cut') return void response.destroy();
      const tar = layers.get(digest);
      response.writeHead(api.layersAre === 'draining' ? 503 : tar === undefined ? 404 : 200).end(tar);
    } else {
      const text = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>)).toString();
      const { status, said } = answer(pathname, JSON.parse(text) as { session?: string });
      response.writeHead(status).end(said === undefined ? undefined : JSON.stringify(said));
    }
  };

  const api: FakeApi = {
    socketPath,
    cellId: CELL,
    registrations: books.registrations,
    heartbeats: books.heartbeats,
    logs: books.logs,
    reports: books.reports,
    fetched,
    layers,
    layersAre: 'sent',
    asked: feed.asked,
    get watchers() {
      return feed.watchers.size;
    },
    place: feed.place,
    withdraw: feed.withdraw,
    tellPeer: peers.place,
    withdrawPeer: peers.withdraw,
    copy: guid => books.reports.findLast(copy => copy.guid === guid),
    lines: sourceType => books.logs.filter(one => one.sourceType === sourceType).map(one => one.line),
    fenceOff: () => {
      books.session = 'another';
    },
    loseAnswers: many => {
      books.lostAnswers = many;
    },
    away: async () => {
      const closing = new Promise<void>(resolve => server?.close(() => resolve()) ?? resolve());
      server?.closeAllConnections();
      server = null;
      await closing;
    },
    listen: () =>
      new Promise(resolve => {
        server = http.createServer((request, response) => {
          serve(request, response).catch(() => response.destroy());
        });
        server.listen(socketPath, resolve);
      }),
    [Symbol.asyncDispose]: () => api.away(),
  };
  await api.listen();
  return api;
}
