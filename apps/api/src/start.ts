/** The API as a part: first start, its listeners and its loops, over ports that the caller has opened and closes. */

import { withRecent } from '@cupola/logs/recent';
import { HOLD_LIMITS } from '@cupola/model/limits';
import { SHOWN_COLUMNS, type ShownApp } from './apps/present-app.ts';
import { type Bootstrap, bootstrap } from './bootstrap.ts';
import { createBuildLogs } from './builds/build-log.ts';
import { createBuildLeases } from './builds/leases.ts';
import { startOutbox } from './builds/outbox.ts';
import type { ApiDeps } from './deps.ts';
import { withDrains } from './drains/drains.ts';
import { endpoints } from './endpoints.ts';
import { createFiguresRecorder } from './figures/record.ts';
import { createGitOrders } from './git/webhooks/orders.ts';
import { createHolds } from './holds/create-holds.ts';
import { createTokenCap } from './holds/token-cap.ts';
import { createShownTexts } from './http/json-text.ts';
import { type HttpServer, type Listen, startServer } from './http/server.ts';
import { createLogRights } from './internal/log-rights.ts';
import { type InternalListen, startInternal } from './internal/server.ts';
import { createEnvelopes } from './logcache/envelopes.ts';
import { createTails } from './logcache/tails.ts';
import { createTailHolds } from './logcache/wait-for-lines.ts';
import { createFileMover } from './resource-matches/move-later.ts';
import { createCertificateLooks } from './routes/certificate-looks.ts';
import { createStreamHub } from './stream/hub.ts';
import { startSweeper } from './sweeper/sweeper.ts';
import { createAuthenticate } from './uaa/authenticate.ts';
import { createLoginGuard } from './uaa/login-guard.ts';
import { openTokens } from './uaa/tokens.ts';

/** Of some 2 kB each (ours). */
const SHOWN_APPS_MAX = 1_000;

export interface StartDeps
  extends Omit<
    ApiDeps,
    | 'holds'
    | 'tails'
    | 'tailHolds'
    | 'shownApps'
    | 'envelopes'
    | 'tokens'
    | 'loginGuard'
    | 'stream'
    | 'figures'
    | 'leases'
    | 'buildLogs'
    | 'logRights'
    | 'fileMover'
    | 'certificateLooks'
    | 'gitOrders'
  > {
  listen: Listen;
  internal: InternalListen;
  /** Addresses and networks (`10.0.0.0/8`) that syslog drains may reach though they are not public; none when not given. */
  drainTargets?: readonly string[];
  /** Unix socket for the router's requests to the platform's own hosts; not given: none. */
  routerSocket?: string;
  admin: Bootstrap['admin'];
  hashCost?: Bootstrap['hashCost'];
  /** Ms on a clock that never jumps, by which leases are judged; this process's own when not given. */
  monotonic?: () => number;
  /** How long pushes pause before the places of their files are moved; some seconds when not given. */
  movePauseMs?: number;
  /** How often push events are looked for that no API works at, ms; ten seconds when not given. */
  gitLookMs?: number;
  /** False: neither outbox nor sweeper, for tests that look at rows between two steps. */
  loops?: boolean;
}

export interface Api extends AsyncDisposable {
  readonly address: { host: string; port: number };
  /** Where members of the cluster call; null: nowhere. */
  readonly members: { host: string; port: number } | null;
}

/** Resolves when requests are answered. Disposing drains: held requests end, uploads get some seconds. */
export async function start(options: StartDeps): Promise<Api> {
  const {
    listen,
    internal,
    routerSocket = null,
    drainTargets = [],
    admin,
    hashCost,
    movePauseMs,
    gitLookMs,
    loops = true,
    monotonic = () => performance.now(),
    ...given
  } = options;
  const { store, sealer, config, now } = given;
  const [tokens] = await Promise.all([
    openTokens({ store, sealer, now, issuer: `${config.publicUrl}/oauth/token` }),
    bootstrap(store, { appsDomain: config.appsDomain, admin, ...(hashCost === undefined ? {} : { hashCost }) }),
  ]);
  await using starting = new AsyncDisposableStack();
  const logs = starting.use(
    withDrains({ ...given, logs: starting.use(withRecent(given.logs)), targets: drainTargets, monotonic }),
  );
  const leases = createBuildLeases(monotonic);
  const cap = createTokenCap(HOLD_LIMITS.perTokenMax);
  const deps: ApiDeps = {
    ...given,
    logs,
    tokens,
    leases,
    buildLogs: createBuildLogs({ store, logs, now }),
    logRights: createLogRights({ read: store.read, monotonic }),
    fileMover: starting.use(createFileMover(given, movePauseMs)),
    certificateLooks: createCertificateLooks(config.https, given),
    loginGuard: createLoginGuard(now),
    tails: createTails(),
    shownApps: createShownTexts<ShownApp>(SHOWN_COLUMNS, { max: SHOWN_APPS_MAX }),
    envelopes: createEnvelopes(),
    tailHolds: createTailHolds(logs, cap),
    holds: createHolds({ store, monotonic, cap }),
    figures: starting.use(createFiguresRecorder(given)),
    stream: createStreamHub(() => deps, given),
    gitOrders: starting.use(createGitOrders(() => deps)),
  };
  const authenticate = createAuthenticate(store.read, tokens);
  const doors: { server: HttpServer | null } = { server: null };
  const { members } = starting.use(
    await startInternal(deps, internal, (request, response) => {
      if (doors.server !== null) doors.server.serveRouter(request, response);
      else response.writeHead(503, { 'Retry-After': '1' }).end();
    }),
  );
  if (loops) {
    starting.use(startOutbox(deps));
    starting.use(startSweeper(deps));
    deps.gitOrders.start(gitLookMs);
  }
  const server = starting.use(await startServer({ api: deps, endpoints, authenticate }, listen, routerSocket));
  doors.server = server;
  // Before the server ends: who watches is told to come back.
  starting.use(deps.stream);
  const running = starting.move();
  return { address: server.address, members, [Symbol.asyncDispose]: () => running.disposeAsync() };
}
