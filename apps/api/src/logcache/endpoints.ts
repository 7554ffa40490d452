/** log-cache's read API, as the cf CLI and go-log-cache use it. Strict protobuf JSON: a key too many fails the whole read (cf-api-contract.md 7). */
import { NotFoundError } from '@cupola/model/errors';
import { HOLD_LIMITS } from '@cupola/model/limits';
import type { ScopedApp } from '../apps/find-app.ts';
import { seenApp } from '../apps/find-app.ts';
import type { ApiDeps } from '../deps.ts';
import { type ApiRequest, type Endpoint, endpoint } from '../http/endpoint.ts';
import { JSON_TYPE } from '../http/send.ts';
import { type ReadAsk, type ReadQuery, readAsk, readQuery } from './read-ask.ts';
import { type AnsweredLine, readLatest, readPlain, readTail } from './read-lines.ts';

/** Semver, and at least 2.0.0, or the CLI takes an older path. */
const VERSION = '3.0.11';

async function read(deps: ApiDeps, request: ApiRequest<ReadQuery, undefined>, app: ScopedApp): Promise<AnsweredLine[]> {
  const ask = readAsk(request.query, request.userAgent);
  const reader = { logs: deps.logs, tails: deps.tails };
  const build = ask.tailForm === null ? null : await runningBuild(deps, app.guid);
  const lines = (): Promise<AnsweredLine[]> => {
    if (ask.tailForm === 'latest') return readLatest(reader, app.guid, ask, build);
    if (ask.tailForm === 'tail') return readTail(reader, app.guid, ask, build !== null);
    return readPlain(reader, app.guid, ask);
  };
  const { actor, signal } = request;
  return deps.tailHolds.untilLines(
    { appGuid: app.guid, tokenId: actor.tokenId, maxMs: boundOf(request, ask), signal },
    lines,
  );
}

/** The CLI's tails ask four times a second: each waits for a line instead. */
function boundOf({ preferWaitSeconds }: ApiRequest<unknown, unknown>, { tailForm }: ReadAsk): number {
  if (preferWaitSeconds !== null) return Math.min(preferWaitSeconds * 1_000, HOLD_LIMITS.logTailMs);
  return tailForm === null ? 0 : HOLD_LIMITS.logTailMs;
}

/** When the newest build began, if it is STAGING, or has ended or was adopted so lately that its lines are still to be shown. */
async function runningBuild({ store, now }: ApiDeps, appGuid: string): Promise<{ beganNs: bigint } | null> {
  const build = await store.read
    .selectFrom('builds')
    .select(['created_at', 'state', 'updated_at'])
    .where('app_guid', '=', appGuid)
    .where('cancelled', '=', 0)
    .orderBy('created_at', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (build === undefined) return null;
  const isFresh = now() - build.updated_at < FRESH_MS;
  return build.state === 'STAGING' || isFresh ? { beganNs: BigInt(build.created_at) * 1_000_000n } : null;
}

/** A build that was staged ahead may have ended before the CLI's tail begins: the CLI waits a second after each archive. */
const FRESH_MS = 3_000;

export const logCacheEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/api/v1/info',
    summary: 'Version of the log API',
    auth: 'anyone',
    handle: async ({ now }) => ({
      status: 200,
      body: { version: VERSION, vm_uptime: String(Math.floor(now() / 1_000)) },
    }),
  }),
  endpoint({
    method: 'GET',
    path: '/api/v1/read/:guid',
    summary: "Lines of an app's log",
    query: readQuery,
    handle: async (deps, request) => {
      const app = await seenApp(deps.store.read, request.actor, request.params.guid ?? '').catch((error: unknown) => {
        throw error instanceof NotFoundError ? new NotFoundError('Source') : error;
      });
      const lines = await read(deps, request, app);
      return { status: 200, body: deps.envelopes.batchOf(lines, app), contentType: JSON_TYPE };
    },
  }),
];
