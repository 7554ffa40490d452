import type { BlobStore } from '@cupola/blobs/blob-store';
import type { LogStore } from '@cupola/logs/log-store';
import type { BuildQueue } from '@cupola/queue/build-queue';
import type { Sealer } from '@cupola/store/seal';
import type { Store } from '@cupola/store/store';
import type { Logger } from 'pino';
import type { ShownApp } from './apps/present-app.ts';
import type { BuildLogs } from './builds/build-log.ts';
import type { BuildLeases } from './builds/leases.ts';
import type { FiguresRecorder } from './figures/record.ts';
import type { GitPart } from './git/pass-on.ts';
import type { GitOrders } from './git/webhooks/orders.ts';
import type { Holds } from './holds/holds.ts';
import type { ShownTexts } from './http/json-text.ts';
import type { LogRights } from './internal/log-rights.ts';
import type { Envelopes } from './logcache/envelopes.ts';
import type { Tails } from './logcache/tails.ts';
import type { TailHolds } from './logcache/wait-for-lines.ts';
import type { RequestDone } from './metrics/request-metrics.ts';
import type { FileMover } from './resource-matches/move-later.ts';
import type { CertificateLooks } from './routes/certificate-looks.ts';
import type { StreamHub } from './stream/hub.ts';
import type { LoginGuard } from './uaa/login-guard.ts';
import type { Tokens } from './uaa/tokens.ts';

/** Settings of the API, parsed once at the edge. URLs have no slash at their end. */
export interface ApiConfig {
  /** Public origin of the API: every link, Location and `next` starts with it. */
  publicUrl: string;
  /** Domain of apps: `localhost` gives `NAME.localhost:PORT`. */
  appsDomain: string;
  /** Port that users put behind an app's host; null for the scheme's default. */
  appsPort: number | null;
  appsScheme: 'http' | 'https';
  /** HTTPS to apps beside that, spoken by routers: the port that users know, and where the API itself may look at their certificates. Null: there is none. */
  https: {
    port: number | null;
    certificates: 'own' | 'given' | 'acme';
    doors: ReadonlyArray<{ host: string; port: number }>;
  } | null;
  /** Uploads land here first: on the blobs' file system, so that a rename adopts them. */
  uploadFolder: string;
  /** Layers of this machine's stack, made for images; what is lost is made again. */
  stackFolder: string;
  /** Where the root filesystems of added stacks lie. */
  addedStacks: string;
  /** Files of the dashboard: made already in `built`, or else to be made below `folder` when they are first asked for. */
  dashboard: { built: string | null; folder: string };
  version: string;
}

/** All that a handler may use. Made once in `start.ts`; no globals. */
export interface ApiDeps {
  store: Store;
  blobs: BlobStore;
  logs: LogStore;
  queue: BuildQueue;
  /** Which stagers hold the builds they have claimed. */
  leases: BuildLeases;
  buildLogs: BuildLogs;
  /** Of which apps a cell may write lines. */
  logRights: LogRights;
  fileMover: FileMover;
  certificateLooks: CertificateLooks;
  sealer: Sealer;
  holds: Holds;
  /** What log tails of the cf CLI have read: a finished build is answered when they have its last line. */
  tails: Tails;
  tailHolds: TailHolds;
  envelopes: Envelopes;
  shownApps: ShownTexts<ShownApp>;
  tokens: Tokens;
  loginGuard: LoginGuard;
  /** What routers and agents tell of apps. */
  figures: FiguresRecorder;
  /** Who watches live. */
  stream: StreamHub;
  gitOrders: GitOrders;
  config: ApiConfig;
  /** Where git runs; not given: no push by git is received. */
  git?: GitPart;
  log: Logger;
  /** Told of each request once it is over; not given: nobody counts. */
  requestDone?(done: RequestDone): void;
  /** Epoch ms. */
  now(): number;
}
