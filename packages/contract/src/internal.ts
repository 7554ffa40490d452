/**
 * Every shape on the internal listener (unix socket embedded, mTLS in a cluster). Never reachable from outside.
 *
 * - Watch: `GET ...?epoch=E&after=REVISION` answers NDJSON, one {@link watchLine} each, a `snapshot` first when the cursor is unknown or too old, an
 *   empty line every 2 s so that both ends notice a dead peer. A hint carries nothing to trust but what the line itself says.
 * - Report: `POST` of a batch, idempotent by (session, sequence).
 *
 * | call | who | what |
 * |---|---|---|
 * | `POST /internal/cells` | agent | {@link cellRegistration} -> {@link cellRegistered} |
 * | `POST /internal/cells/:cellId/heartbeat` | agent | {@link cellHeartbeat} -> {@link cellHeard}; 409 `CF-AgentFenced` when a newer session took over |
 * | `GET /internal/cells/:cellId/watch` | agent | lines of {@link placementItem} |
 * | `POST /internal/cells/:cellId/reports` | agent | {@link cellReport} -> 204 |
 * | `GET /internal/peers/watch` | agent | lines of {@link peerItem} |
 * | `GET /internal/routes/watch` | router | lines of {@link routeItem} |
 * | `GET /internal/layers/:digest` | agent | the layer's tar, streamed |
 * | `POST /internal/logs` | agent, router | {@link logBatch} -> 204 |
 * | `POST /internal/metrics` | router | {@link requestCounts} -> 204 |
 * | `GET /internal/builds/next?stager=ID&wait_ms=N&stack=NAME` | stager | held; 200 {@link buildHint} or 204; `stack` once for each that it has |
 * | `POST /internal/builds/:guid/claim` | stager | {@link buildClaim} -> {@link buildOrder}; 409 when not to be had |
 * | `POST /internal/builds/:guid/heartbeat` | stager | {@link buildHeartbeat} -> {@link buildHeartbeatAnswer} |
 * | `GET /internal/builds/:guid/package?fence=N` | stager | the package's zip, streamed |
 * | `PUT /internal/layers/:digest?build=GUID&fence=N` | stager | a layer's tar, digest checked; 201 |
 * | `PUT /internal/layers/:digest?toolchain=KEY` | stager | the same for a toolchain's layer, made ahead of any build; 201 |
 * | `HEAD /internal/layers/:digest` | stager | 200 when stored already |
 * | `GET` and `PUT /internal/toolchains/:key` | stager | {@link toolchainRecord}; key such as `node-24.21.0-linux-x64` |
 * | `POST /internal/builds/:guid/finish` | stager | {@link buildFinish} -> 204; 409 when the fence is old |
 * | `POST /internal/builds/:guid/logs` | stager | {@link logBatch} of that build -> 204; the app's log has them once the build is adopted |
 * | `GET /internal/builds/watch` | stager | lines of {@link buildItem}: what has been cancelled |
 * | `POST /internal/join` | a machine with a token, no certificate yet | {@link joinRequest} -> {@link joinAnswer} |
 * | `POST /internal/renew` | every member | {@link renewRequest} -> {@link joinAnswer} |
 * | `POST /internal/cluster/tokens` | `cupola cluster token` | {@link tokenRequest} -> {@link tokenAnswer} |
 * | `GET /internal/cluster/members` and `POST .../members/:id/remove` | `cupola cluster` | {@link memberList}; 204 |
 * | `POST /internal/cells/:cellId/drain` | `cupola cell` | {@link cellDrain} -> 204 |
 * | `POST /internal/users/password` | `cupola user reset-password` | {@link userPassword} -> 204; 404 |
 * | `GET /internal/instances` and `/internal/cells` | `cupola status`, `doctor` | what runs, and where it could |
 */
import { COUNTED_APPS_MAX, REQUEST_NUMBERS } from '@cupola/model/metrics';
import { CELL_STATES, COPY_STATES, HEALTH_CHECK_TYPES } from '@cupola/model/states';
import { z } from 'zod';
import { causeReport } from './causes.ts';

const guid = z.string().min(1).max(200);
const digest = z.string().regex(/^[0-9a-f]{64}$/);
const ms = z.number().int();

export const layer = z.object({
  digest,
  sizeBytes: z.number().int().nonnegative(),
  kind: z.enum(['toolchain', 'app', 'image']),
  mountPath: z.string().startsWith('/'),
});

/** See `ImageConfig` in `@cupola/model/run-spec`. */
const imageConfig = z.object({
  entrypoint: z.array(z.string()),
  command: z.array(z.string()),
  environment: z.record(z.string(), z.string()),
  folder: z.string(),
  user: z.string(),
  ports: z.array(z.number().int()),
});

const healthCheck = z.object({
  type: z.enum(HEALTH_CHECK_TYPES),
  endpoint: z.string().nullable(),
  timeoutMs: ms.nullable(),
  invocationTimeoutMs: ms.nullable(),
  intervalMs: ms.nullable(),
});

const span = z.tuple([z.number().int().nonnegative(), z.number().int().nonnegative()]);
/** See `EgressRule` in `@cupola/model/egress`. */
const egressRule = z.object({
  protocol: z.enum(['tcp', 'udp', 'icmp', 'all']),
  destinations: z.array(span),
  ports: z.array(span).exactOptional(),
  icmp: z.object({ type: z.number().int(), code: z.number().int() }).exactOptional(),
  log: z.literal(true).exactOptional(),
});

/** See `RunSpec` in `@cupola/model/run-spec`; this is its form on the wire, field for field. */
const runSpec = z.object({
  guid,
  appGuid: guid,
  processGuid: guid,
  processType: z.string(),
  appName: z.string(),
  spaceGuid: guid,
  spaceName: z.string(),
  organizationGuid: guid,
  organizationName: z.string(),
  dropletGuid: guid,
  layers: z.array(layer),
  command: z.string(),
  environment: z.record(z.string(), z.string()),
  memoryMb: z.number().int().positive(),
  diskMb: z.number().int().positive(),
  logRateBytesPerSecond: z.number().int(),
  healthCheck,
  readinessHealthCheck: healthCheck,
  stack: z.string(),
  ports: z.array(z.number().int()).min(1),
  sidecars: z
    .array(z.object({ name: z.string(), command: z.string(), memoryMb: z.number().int().nullable() }))
    .exactOptional(),
  image: imageConfig.exactOptional(),
  taskName: z.string().exactOptional(),
  development: z.literal(true).exactOptional(),
  syslogDrains: z.array(z.string()).exactOptional(),
  egress: z.array(egressRule).exactOptional(),
});

/** A copy that this cell is to run. It is there until it is removed from the view; removal means: stop it, gracefully. */
export const placementItem = z.object({
  /** The copy's guid: never used again for another start by the scheduler; crash restarts on the cell keep it. */
  guid,
  generation: z.number().int().positive(),
  index: z.number().int().nonnegative(),
  /** Grows when the user restarts this index (`cf restart-app-instance`, scale, restart): the crash count begins anew. */
  startSequence: z.number().int().nonnegative(),
  /** False: a task that has run. A cell that does not know it has lost it, and must not run it again. Absent: true. */
  mayStart: z.boolean().exactOptional(),
  /** Of a development app: what its files have become since its droplet was made, in order from 1; tars by their digest. Absent: nothing. */
  changes: z.array(z.object({ sequence: z.number().int().positive(), digest })).exactOptional(),
  runSpec,
});
export type PlacementItem = z.infer<typeof placementItem>;

const enforced = z.object({
  pid: z.boolean(),
  net: z.boolean(),
  fs: z.boolean(),
  mem: z.boolean(),
  cpu: z.boolean(),
  pids: z.boolean(),
  disk: z.boolean(),
  seccomp: z.boolean(),
  userns: z.boolean(),
  egress: z.boolean(),
  uid: z.boolean(),
});
/** What the chosen rung really enforces on this machine, proven by a canary at start. */
export const rungReport = z.object({
  driver: z.string(),
  rung: z.enum(['docker', 'runc', 'crun', 'bwrap', 'util-linux', 'process']),
  enforced,
  /** What is lacking, in words that `doctor` prints. */
  missing: z.array(z.string()),
});
export type RungReport = z.infer<typeof rungReport>;

export const cellRegistration = z.object({
  cellId: guid,
  /** New at each start of the agent's process. */
  session: guid,
  name: z.string(),
  zone: z.string(),
  stacks: z.array(
    z.object({
      name: z.string(),
      digest: z.string(),
      abiKey: z.string(),
      /** For people. Absent: the machine's own. */
      description: z.string().exactOptional(),
    }),
  ),
  rung: rungReport,
  capacity: z.object({ memoryMb: z.number().int(), diskMb: z.number().int(), copies: z.number().int() }),
  /** Name of the isolation segment that it is in. Absent: it is everybody's. */
  segment: z.string().min(1).max(250).exactOptional(),
  /** Where other machines reach the cell's instances, through its agent. Absent: only this machine does. */
  forward: z.object({ host: z.string().min(1), port: z.number().int().positive() }).exactOptional(),
});
export type CellRegistration = z.infer<typeof cellRegistration>;
/** `fence` grows with every registration of the cell; the newest session wins. */
export const cellRegistered = z.object({ fence: z.number().int() });

export const usageSample = z.object({
  guid,
  /** Fraction of one core: 0.01 is 1 %. */
  cpu: z.number(),
  memoryBytes: z.number(),
  diskBytes: z.number(),
  logBytesPerSecond: z.number(),
});
/**
 * Requests of apps since the last batch, by numbers as `@cupola/model/metrics` orders them. Kept in memory until the window is over: a batch that was heard
 * before (session, sequence) is not counted again.
 */
export const requestCounts = z.object({
  session: guid,
  sequence: z.number().int(),
  apps: z
    .array(z.object({ guid, numbers: z.array(z.number().nonnegative()).length(REQUEST_NUMBERS) }))
    .max(COUNTED_APPS_MAX),
});
export type RequestCounts = z.infer<typeof requestCounts>;

/** Bumps the lease's counter; carries the newest usage, which is kept unrevisioned, one row a cell. */
export const cellHeartbeat = z.object({ session: guid, counter: z.number().int(), usage: z.array(usageSample) });
export type CellHeartbeat = z.infer<typeof cellHeartbeat>;
/** Members that were removed and whose certificates would still hold: the agent passes nothing on for them. */
export const cellHeard = z.object({ removed: z.array(guid) });

export const exitReport = z.object({
  code: z.number().int().nullable(),
  signal: z.number().int().nullable(),
  outOfMemory: z.boolean(),
  /** For people: `out of memory: limit 64 MB`, `health check failed: connection refused on port 8080`. */
  reason: z.string(),
  /** The last 20 log lines. */
  lastLines: z.array(z.string()),
  /** Why, as far as its cell can tell. Absent from reports of an older agent. */
  cause: causeReport.exactOptional(),
});
export type ExitReport = z.infer<typeof exitReport>;
/**
 * What is so about one copy, whole: applying it twice, or late, changes nothing that a newer report has said. Newer is the newer session, then the higher
 * sequence; never a time. One report may name a copy twice, in order: its crash, and what it has become since.
 */
export const copyReport = z.object({
  guid,
  generation: z.number().int(),
  processGuid: guid,
  appGuid: guid,
  index: z.number().int(),
  runSpecGuid: guid,
  state: z.enum(COPY_STATES),
  /** Counts the starts of this copy on the cell, under its generation. */
  attempt: z.number().int(),
  /** Where the app answers, as probe and router dial it; null while nothing listens. */
  address: z.object({ host: z.string(), port: z.number().int() }).nullable(),
  /** False when the readiness check says so: keeps running, leaves the routes. */
  routable: z.boolean(),
  crashCount: z.number().int(),
  /** When the crash table starts it again, epoch ms; null when it will not. */
  restartAtMs: ms.nullable(),
  /** Since when it is in this state, epoch ms by the agent's clock. */
  sinceMs: ms,
  /** Of the last end, if there was one. */
  exit: exitReport.nullable(),
  /** A start that never ran app code (droplet fetch, digest, sandbox): not a crash. */
  placementError: z.string().nullable(),
  /** Of a development app: the newest change that it has taken. Absent: it is none, or has not begun. */
  appliedChange: z.number().int().nonnegative().exactOptional(),
});
export type CopyReport = z.infer<typeof copyReport>;
export const cellReport = z.object({ session: guid, sequence: z.number().int(), copies: z.array(copyReport) });
export type CellReport = z.infer<typeof cellReport>;

const endpoint = z.object({
  instanceGuid: guid,
  index: z.number().int(),
  host: z.string(),
  port: z.number().int(),
  /** On another machine: its agent is dialled, which knows the copy by its guid. Absent: the copy's own address is. */
  via: z.object({ cellId: guid, host: z.string(), port: z.number().int() }).exactOptional(),
});
/** A route as the router needs it: whole, replaced as a whole. */
export const routeItem = z.object({
  /** The route's guid. */
  guid,
  host: z.string(),
  domain: z.string(),
  /** Empty, or begins with `/`. */
  path: z.string(),
  destinations: z.array(
    z.object({
      appGuid: guid,
      appName: z.string(),
      spaceName: z.string(),
      organizationName: z.string(),
      processGuid: guid,
      processType: z.string(),
      /** Only healthy copies; of the newest run spec as soon as one of it is healthy. */
      endpoints: z.array(endpoint),
      /** No healthy copy, but one is expected (planned change, first two crashes): hold requests up to this long, then 503. 0: do not hold. */
      holdMs: ms.nonnegative(),
    }),
  ),
  options: z.record(z.string(), z.string()),
});
export type RouteItem = z.infer<typeof routeItem>;

/** What apps reach of each other, for all cells: see `@cupola/model/peers`. */
export const peerItem = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('policy'),
    guid,
    sourceAppGuid: guid,
    destinationAppGuid: guid,
    protocol: z.enum(['tcp', 'udp']),
    ports: span,
  }),
  z.object({
    kind: z.literal('route'),
    guid,
    name: z.string(),
    destinations: z.array(z.object({ appGuid: guid, processType: z.string() })),
  }),
  /** An internal domain. */
  z.object({ kind: z.literal('domain'), guid, name: z.string() }),
  /** One that is placed, whether it runs yet or not, of an app that a policy or an internal route names. */
  z.object({
    kind: z.literal('instance'),
    guid,
    appGuid: guid,
    /** Null: a task. */
    processType: z.string().nullable(),
    index: z.number().int().nonnegative(),
    cellId: guid,
    isHealthy: z.boolean(),
  }),
  /** Where a cell that is not lost takes connections of other machines. */
  z.object({ kind: z.literal('cell'), guid, host: z.string(), port: z.number().int() }),
]);
export type PeerItem = z.infer<typeof peerItem>;

/** A line of any watch. `items` and `item` have the view's own schema. */
export function watchLine<T extends z.ZodType>(item: T) {
  const at = { epoch: z.string(), revision: z.number().int() };
  return z.discriminatedUnion('type', [
    z.object({ type: z.literal('snapshot'), ...at, items: z.array(item) }),
    z.object({ type: z.literal('upsert'), ...at, item }),
    z.object({ type: z.literal('remove'), ...at, guid }),
    /** Nothing changed, but up to this revision all is said: stamps the view as fresh. Sent at least every 30 s. */
    z.object({ type: z.literal('synced'), ...at }),
  ]);
}
export type WatchLine<T> =
  | { type: 'snapshot'; epoch: string; revision: number; items: T[] }
  | { type: 'upsert'; epoch: string; revision: number; item: T }
  | { type: 'remove'; epoch: string; revision: number; guid: string }
  | { type: 'synced'; epoch: string; revision: number };

/** Of a member: an agent's is its cell's. As `isMemberId` in `@cupola/certificates/members/names`. */
const memberId = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/);
const memberRole = z.enum(['agent', 'stager', 'router']);
const pem = z.string().min(1).max(10_000);
export const joinRequest = z.object({
  /** Absent on the machine's own socket, which nobody else reaches. */
  token: z.string().max(200).exactOptional(),
  id: memberId,
  hostName: z.string().max(255),
  /** PKCS #10, PEM. */
  request: pem,
  /** Asked for on the machine's own socket; a token brings its own. */
  roles: z.array(memberRole).min(1).exactOptional(),
});
export const joinAnswer = z.object({
  /** The member's certificate, then the authority's, PEM. */
  chain: pem,
});
/** `roles`: fewer than the member has, for one of its parts alone. */
export const renewRequest = z.object({ request: pem, roles: z.array(memberRole).min(1).exactOptional() });
export const tokenRequest = z.object({
  roles: z.array(memberRole).min(1),
  lifeMs: ms.positive(),
  /** The member that it is for, who may be known already. Absent: a new one. */
  id: memberId.exactOptional(),
});
export const tokenAnswer = z.object({
  token: z.string(),
  /** SHA-256 of the authority's certificate, hex: who joins knows by it whom to trust. */
  authority: z.string(),
});
export const memberList = z.object({
  members: z.array(
    z.object({
      id: memberId,
      hostName: z.string(),
      roles: z.array(memberRole),
      joinedAtMs: ms,
      renewedAtMs: ms,
      removedAtMs: ms.nullable(),
    }),
  ),
});
/** `GET /internal/cells`. Counts are by the scheduler's books, `copies` by what agents report. */
export const cellList = z.object({
  cells: z.array(
    z.object({
      cellId: guid,
      name: z.string(),
      zone: z.string(),
      segment: z.string().nullable(),
      state: z.enum(CELL_STATES),
      rung: rungReport,
      heardAtMs: ms.nullable(),
      drainedAtMs: ms.nullable(),
      lostAtMs: ms.nullable(),
      memoryMb: z.number().int(),
      placedMemoryMb: z.number().int(),
      placedCopies: z.number().int(),
      copies: z.number().int(),
    }),
  ),
});
export const cellDrain = z.object({ drain: z.boolean() });

export const logEnvelope = z.object({
  appGuid: guid,
  /** `APP/PROC/WEB`, `STG`, `RTR`, `API`, `CELL`. */
  sourceType: z.string(),
  instanceId: z.string(),
  type: z.enum(['OUT', 'ERR']),
  /** Nanoseconds since the epoch, as decimal digits; unique and rising for each source. */
  timestampNs: z.string().regex(/^\d+$/),
  /** One line of text without its newline. */
  line: z.string(),
});
export type LogEnvelope = z.infer<typeof logEnvelope>;
export const logBatch = z.object({ envelopes: z.array(logEnvelope).max(10_000) });

export const buildHint = z.object({ buildGuid: guid });
export const buildClaim = z.object({ stager: guid });
/** All that a stager needs for one run. Every later call carries `fence`. */
export const buildOrder = z.object({
  buildGuid: guid,
  fence: z.number().int(),
  attempt: z.number().int(),
  leaseMs: ms,
  appGuid: guid,
  appName: z.string(),
  spaceName: z.string(),
  organizationName: z.string(),
  packageGuid: guid,
  /** Null: the package is an image. */
  packageDigest: digest.nullable(),
  packageSizeBytes: z.number().int(),
  /** An image to find and to fetch, instead of bits to compile. */
  image: z
    .object({
      name: z.string(),
      login: z.object({ username: z.string(), password: z.string() }).nullable(),
      /** Layers that somebody of the organization has fetched before: they are here, and need not come again. */
      known: z.array(digest),
    })
    .exactOptional(),
  /** Names of buildpacks in the order asked for; empty: detect. */
  buildpacks: z.array(z.string()),
  /** Those that take part in detection, in order of position. */
  detectOrder: z.array(z.string()),
  /** Of those, the ones that admins have added: zips, as `GET /internal/layers/:digest` sends them. */
  customBuildpacks: z.array(z.object({ name: z.string(), digest, sizeBytes: z.number().int() })).exactOptional(),
  stack: z.string(),
  /** Staging environment: user-provided, staging group, VCAP_APPLICATION, VCAP_SERVICES. */
  environment: z.record(z.string(), z.string()),
  memoryMb: z.number().int(),
  diskMb: z.number().int(),
  timeoutMs: ms,
  /** The app's cache of another generation is thrown away first. Absent from an older api: 0. */
  cacheGeneration: z.number().int().nonnegative().exactOptional(),
  /** What the build may reach. Absent from an older api: the default. */
  egress: z.array(egressRule).exactOptional(),
});
export type BuildOrder = z.infer<typeof buildOrder>;
export const buildHeartbeat = z.object({ fence: z.number().int() });
export const buildHeartbeatAnswer = z.object({ leaseMs: ms, cancel: z.boolean() });
export const buildItem = z.object({ guid, fence: z.number().int(), cancel: z.boolean() });
export type BuildItem = z.infer<typeof buildItem>;

/** A toolchain that is the same for every app: resolved and fetched once, by us, never by code of an app. */
export const toolchainRecord = z.object({ key: z.string(), version: z.string(), layer });
export type ToolchainRecord = z.infer<typeof toolchainRecord>;

export const stagedResult = z.object({
  layers: z.array(layer),
  buildpacks: z.array(
    z.object({ name: z.string(), buildpackName: z.string(), detectOutput: z.string(), version: z.string().nullable() }),
  ),
  /** Command of each process type: of the Procfile, else of the buildpack's release step. */
  processTypes: z.record(z.string(), z.string()),
  sidecars: z.array(z.object({ name: z.string(), processTypes: z.array(z.string()), command: z.string() })),
  executionMetadata: z.string(),
  stack: z.string(),
  stackDigest: z.string(),
  abiKey: z.string(),
  imageDigest: z.string().nullable(),
  /** Of an image: its name with its digest, and what it says. */
  image: z.object({ name: z.string(), config: imageConfig }).exactOptional(),
});
export type StagedResult = z.infer<typeof stagedResult>;
export const buildFinish = z.discriminatedUnion('outcome', [
  z.object({ outcome: z.literal('staged'), fence: z.number().int(), result: stagedResult }),
  /** The app's fault: FAILED with this text, no second try. `title` is CF's: `NoAppDetectedError`, `BuildpackCompileFailed`, `BuildpackReleaseFailed`. */
  z.object({ outcome: z.literal('failed'), fence: z.number().int(), title: z.string(), error: z.string() }),
  /** Ours: tried again while attempts are left. */
  z.object({ outcome: z.literal('lost'), fence: z.number().int(), error: z.string() }),
]);
export type BuildFinish = z.infer<typeof buildFinish>;

export const userPassword = z.object({ username: z.string().min(1), password: z.string().min(1).max(255) });
