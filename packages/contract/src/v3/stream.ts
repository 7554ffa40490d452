/**
 * The live stream, ours beside the v3 API: what changes, in order, as one JSON object a frame. `GET /v3/stream` answers it as server-sent events (`data:` is
 * the frame, `id:` its cursor), and as a WebSocket (a text message has one frame or more, a line each).
 *
 * A cursor says: what concerns you up to here has been said. Who comes back with the last one it has read (`Last-Event-ID`, or `since`) misses nothing; what
 * was said may be said again. `reset` says that this cannot be promised: list again; the stream goes on behind it. Frames without a cursor may get lost.
 *
 * To begin: open the stream, wait for `ready`, list, and apply what comes. A frame is never older than a list that was answered before it.
 */
import { INSTANCE_STATES } from '@cupola/model/states';
import { z } from 'zod';

/** What a frame may be about. `instances`: those of one process, by the process's guid. `cell`: a machine that runs apps, for admins. `metrics`: figures of an app, which are frames of their own. */
export const STREAM_KINDS = [
  'organization',
  'space',
  'app',
  'process',
  'instances',
  'build',
  'deployment',
  'task',
  'route',
  'audit_event',
  'cell',
  'metrics',
] as const;
export type StreamKind = (typeof STREAM_KINDS)[number];

/** ms. A client that has heard nothing for longer than two of these and a bit shows what it has as stale. */
export const STREAM_BEAT_MS = 5_000;

const cursor = z.string();
const count = z.number();
/** Null: nothing was measured. */
const known = z.number().nullable();
const guid = z.string();
const home = { organization_guid: guid.nullable(), space_guid: guid.nullable() };

/** One instance of a process, as wanted and as it is. */
export const streamInstance = z.object({
  index: z.number().int(),
  state: z.enum(INSTANCE_STATES),
  /** Since when it is so. */
  since: z.iso.datetime().nullable(),
  /** Whether requests get there; null for one that does not run. */
  routable: z.boolean().nullable(),
  /** Why it is not placed, cannot start, or crashed. */
  details: z.string().nullable(),
  instance_guid: guid.nullable(),
  cell_id: z.string().nullable(),
  /** Crashes in a row. */
  crashes: z.number().int(),
  last_exit: z
    .object({
      code: z.number().int().nullable(),
      signal: z.number().int().nullable(),
      out_of_memory: z.boolean(),
      reason: z.string(),
    })
    .nullable(),
});
export type StreamInstance = z.infer<typeof streamInstance>;
/** The `object` of a frame about `instances`. */
export const streamInstances = z.object({
  process_guid: guid,
  app_guid: guid,
  type: z.string(),
  instances: z.array(streamInstance),
});
export type StreamInstances = z.infer<typeof streamInstances>;

const changedFrame = z.object({
  type: z.literal('changed'),
  cursor,
  kind: z.enum(STREAM_KINDS),
  guid,
  ...home,
  /** Of what belongs to one app. */
  app_guid: guid.nullable(),
  /** As lists of the v3 API show it (commands are hidden there); of `instances` see `streamInstances`. */
  object: z.record(z.string(), z.unknown()),
});
const goneFrame = z.object({ type: z.literal('gone'), cursor, kind: z.enum(STREAM_KINDS), guid, ...home });

export const RESET_REASONS = ['unknown_cursor', 'rights', 'slow'] as const;
export type ResetReason = (typeof RESET_REASONS)[number];
export const END_REASONS = ['token', 'restart', 'slow'] as const;
export type EndReason = (typeof END_REASONS)[number];

export const streamFrame = z.discriminatedUnion('type', [
  /** What was missed has been said; all that follows happens now. */
  z.object({ type: z.literal('ready'), cursor }),
  changedFrame,
  /** It is not there any more. */
  goneFrame,
  /** List again: what was missed is not known, or what one may see has changed. */
  z.object({ type: z.literal('reset'), cursor, reason: z.enum(RESET_REASONS), message: z.string() }),
  /** What an app has done in the last ten seconds that are known: without a cursor, and never said again. */
  z.object({
    type: z.literal('metrics'),
    app_guid: guid,
    ...home,
    /** Begin of the window. */
    at: z.iso.datetime(),
    step_seconds: z.number().int(),
    requests: z.object({ '1xx': count, '2xx': count, '3xx': count, '4xx': count, '5xx': count }),
    latency_ms: z.object({ p50: known, p95: known, p99: known }),
    cpu: known,
    memory_in_bytes: known,
    instances: known,
  }),
  /** Each `STREAM_BEAT_MS`, as long as the server itself is up to date. */
  z.object({ type: z.literal('beat'), cursor, at: z.iso.datetime() }),
  /** The stream ends here: come back with the last cursor, after `token` with a new token. */
  z.object({ type: z.literal('end'), reason: z.enum(END_REASONS), message: z.string() }),
]);
export type StreamFrame = z.infer<typeof streamFrame>;
