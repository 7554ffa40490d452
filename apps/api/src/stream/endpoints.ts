/** `GET /v3/stream`, ours: everything that changes, live (contract/v3/stream.ts). As server-sent events, as a WebSocket, or, for who asks for neither, the newest cursor. */
import { Readable } from 'node:stream';
import { STREAM_KINDS, type StreamKind } from '@cupola/contract/v3/stream';
import { STREAM_LIMITS } from '@cupola/model/limits';
import { z } from 'zod';
import type { ApiDeps } from '../deps.ts';
import { type ApiRequest, type Endpoint, endpoint, type Reply } from '../http/endpoint.ts';
import { commaList } from '../pages/page.ts';
import type { StreamFilter } from './audience.ts';
import { cursorText } from './cursor.ts';
import type { Watcher } from './watcher.ts';

const kinds = commaList.refine(names => names.every(isKind), {
  error: `Kinds can only be: ${STREAM_KINDS.map(kind => `'${kind}'`).join(', ')}`,
});
const isKind = (name: string): name is StreamKind => (STREAM_KINDS as readonly string[]).includes(name);

const query = z.strictObject({
  /** Cursor of the last frame that was read; `Last-Event-ID` says the same, and counts more. */
  since: z.string().exactOptional(),
  kinds: kinds.exactOptional(),
  organization_guids: commaList.exactOptional(),
  space_guids: commaList.exactOptional(),
  app_guids: commaList.exactOptional(),
});
type StreamRequest = ApiRequest<z.output<typeof query>, undefined>;

const cursorAnswer = z.object({ cursor: z.string() });

async function stream(deps: ApiDeps, request: StreamRequest): Promise<Reply> {
  const { headers } = request.raw.request;
  deps.stream.requireRoom(request.actor);
  if (request.raw.upgradeHead !== null && headers.upgrade?.toLowerCase() === 'websocket')
    return bySocket(deps, request);
  if (headers.accept?.includes('text/event-stream') === true) return byEvents(deps, request);
  return { status: 200, body: { cursor: cursorText(await deps.store.cursor()) } };
}

function filterOf({ query: asked }: StreamRequest): StreamFilter {
  const { kinds: names, organization_guids, space_guids, app_guids } = asked;
  return {
    kinds: names === undefined ? null : names.filter(isKind),
    organizationGuids: organization_guids ?? null,
    spaceGuids: space_guids ?? null,
    appGuids: app_guids ?? null,
  };
}

function sinceOf({ query: asked, raw }: StreamRequest): string | null {
  const last = raw.request.headers['last-event-id'];
  return typeof last === 'string' && last !== '' ? last : (asked.since ?? null);
}

const common = ({ config }: ApiDeps, request: StreamRequest): Pick<Watcher, 'actor' | 'filter' | 'origin'> => ({
  actor: request.actor,
  filter: filterOf(request),
  origin: config.publicUrl,
});

async function byEvents(deps: ApiDeps, request: StreamRequest): Promise<Reply> {
  const { signal, raw } = request;
  const { response } = raw;
  const body = new Readable({ read: () => undefined });
  const leave = await deps.stream.join(
    {
      ...common(deps, request),
      form: 'events',
      send: bytes => void (body.readableEnded || body.destroyed || body.push(bytes)),
      behindBytes: () => body.readableLength + response.writableLength,
      end: () => {
        body.push(null);
        // One that does not read would keep the connection.
        const timer = setTimeout(() => response.destroy(), STREAM_LIMITS.endMs);
        signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
      },
    },
    sinceOf(request),
  );
  if (signal.aborted) leave();
  signal.addEventListener('abort', leave, { once: true });
  // Its end is the connection's: a server that ends waits for nobody who has been told.
  const headers = { Connection: 'close', 'Cache-Control': 'no-cache, no-transform', 'X-Accel-Buffering': 'no' };
  return { status: 200, body, contentType: 'text/event-stream', headers };
}

async function bySocket(deps: ApiDeps, request: StreamRequest): Promise<Reply> {
  const { openSocket } = await import('./web-socket.ts');
  const socket = await openSocket(request.raw);
  const leave = await deps.stream
    .join({ ...common(deps, request), form: 'messages', ...socket.sink }, sinceOf(request))
    .catch((error: unknown) => {
      socket.fail();
      deps.log.warn({ err: error, requestId: request.requestId }, 'a live stream could not begin');
      return () => undefined;
    });
  socket.onClose(leave);
  return { status: 101 };
}

export const streamEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/stream',
    summary: 'What changes, live: server-sent events or a WebSocket; else the newest cursor',
    query,
    responseSchema: cursorAnswer,
    handle: stream,
  }),
];
