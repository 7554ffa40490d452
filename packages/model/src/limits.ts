/**
 * The numbers every part follows; nobody writes a second copy. "CF": read in Cloud Foundry's source (Diego, gorouter, Cloud Controller). "ours": chosen
 * by us, with the reason beside it. Milliseconds, bytes and mebibytes are in the names.
 */

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

export const INSTANCE_LIMITS = {
  /** Probes at 0, 10, 20, 40 ... ms while starting: a 2 s grid would hide a 100 ms start (ours). */
  startProbeFirstMs: 10,
  /** Once the doubling reaches it, probes come this often (CF). */
  startProbeMaxMs: 2_000,
  startTimeoutMs: 60_000,
  /** An app may ask for up to this (CF). */
  startTimeoutMaxMs: 180_000,
  livenessIntervalMs: 30_000,
  probeTimeoutMs: 1_000,
  /** A copy that is not ready is probed this often until it is (ours). */
  unreadyProbeMs: 2_000,
  /** Between the routes' removal and SIGTERM, unless the router has acknowledged (ours: removes the 502 window). */
  routeRemovalPauseMs: 1_000,
  /** After that pause, requests that are still under way get so long before SIGTERM: many apps end at once when they hear it (ours). */
  requestsEndMs: 10_000,
  /** Between SIGTERM and SIGKILL (CF). */
  stopGraceMs: 10_000,
  openFilesMax: 16_384,
  pidsMax: 1_024,
  inodesMax: 200_000,
  logRateBytesPerSecond: 1 * MIB,
  memoryDefaultMb: 1_024,
  diskDefaultMb: 1_024,
  diskMaxMb: 2_048,
  crashReasonMaxChars: 1_024,
} as const;

export const CELL_LIMITS = {
  leaseTtlMs: 15_000,
  heartbeatMs: 5_000,
  /** Placed but not taken up by its agent: placed again with a higher generation. */
  takeUpMs: 30_000,
  /** Desired state older than this is not fresh: start yes, stop no (CF). */
  freshTtlMs: 120_000,
  syncMs: 30_000,
  copiesMax: 250,
  startsInFlight: 4,
  /** A sandbox that neither starts nor fails by then is given up; the sandbox's own tools give up after half of it (ours). */
  sandboxStartMs: 60_000,
  /** An agent with this many sandbox errors of one process gets no more of it ... */
  sandboxErrorsMax: 3,
  /** ... for this long. */
  sandboxErrorPauseMs: 300_000,
  /** A uid, an address or a port is used again only after this. */
  reuseMs: 60_000,
  convergenceEmbeddedMs: 5_000,
  massLossWindowMs: 60_000,
  massLossBrakeMs: 60_000,
  massLossMinCells: 3,
} as const;

export const EGRESS_LIMITS = {
  /** Spans of addresses and ports that what runs in a space may have opened, merged: 3,000 are loaded in 30 ms, 12,000 in 200 ms, beside each start (ours). */
  sizeMax: 3_000,
  /** Of one group (ours). */
  rulesMax: 1_000,
  /** Of one rule (CF). */
  destinationsMax: 6_000,
  /** Network policies that have one app as their source, but for admins (CF: policy-server's default). */
  policiesPerSourceMax: 150,
} as const;

/** `actions/stop` answers at once, but routes and copies stay this long: the cf CLI's restart, restage and scale send stop and then start (ours). */
export const STOP_LINGER_MS = 2_000;

export const PUSH_LIMITS = {
  uploadMaxBytes: 1 * GIB,
  unpackedMaxBytes: 2 * GIB,
  entriesMax: 100_000,
  pathMaxBytes: 1_024,
  depthMax: 64,
  fileMaxBytes: 1 * GIB,
  bodyMaxBytes: 15 * MIB,
  manifestMaxBytes: 1 * MIB,
  uploadTimeoutMs: 900_000,
  uploadStallMs: 60_000,
  uploadTokenLeewayMs: 1_200_000,
  resourceMatchMax: 5_000,
  freeSpaceMinBytes: 1 * GIB,
  freeSpaceMinShare: 0.05,
} as const;

export const API_LIMITS = {
  /** Of a JSON body: CF's own are five levels deep; more is somebody's attempt to exhaust a parser (ours). */
  jsonDepthMax: 64,
  /** Queries of 200 guids are 8 KB, the cf CLI's largest (ours: four times that and the other headers). */
  headerBytesMax: 64 * KIB,
  headersTimeoutMs: 10_000,
  keepAliveMs: 65_000,
  /** What is still under way when the server drains is cut after this: held requests end at once, uploads can be sent again (ours). */
  drainMs: 10_000,
} as const;

export const STAGING_LIMITS = {
  timeoutMs: 900_000,
  memoryMb: 1_024,
  diskMb: 6_144,
  attemptsMax: 2,
  leaseMs: 30_000,
  heartbeatMs: 5_000,
  outboxRepeatMs: 5_000,
  /** A build begun by an upload that nobody asked for (`push --no-start`) is dropped after this. */
  unadoptedMs: 900_000,
  sweepAfterMs: 300_000,
} as const;

export const HOLD_LIMITS = {
  /** GETs of packages, builds, jobs and deployments wait at most this long for their final state. */
  pollMs: 20_000,
  /**
   * What the cf CLI sleeps between two polls. A deployment that goes on for longer is answered at once: a push that waits loses nothing, and one with
   * `--no-wait` wants only its first instance.
   */
  cliSleepMs: 3_000,
  /** Process stats: `CF_STARTUP_TIMEOUT` is not looked at while a GET hangs. */
  statsMs: 10_000,
  logTailMs: 2_000,
  perTokenMax: 32,
  /** A finished build is answered when the log tail has asked past its last line, or after this. */
  buildLogFenceMs: 300,
  /** The CLI drops envelopes younger than 2 s: while a build runs its tail gets times shifted back by this. */
  tailShiftNs: 2_001_000_000n,
} as const;

/** The live stream of one API (ours). */
export const STREAM_LIMITS = {
  /** Of one user: tabs and tools. */
  perUserMax: 200,
  watchersMax: 5_000,
  /** A reader that was cut gets this long to read how it ended. */
  endMs: 10_000,
} as const;

export const ROUTER_LIMITS = {
  attemptsMax: 3,
  dialTimeoutMs: 5_000,
  requestTimeoutMs: 900_000,
  upgradeIdleMs: 1_800_000,
  headersTimeoutMs: 10_000,
  keepAliveMs: 65_000,
  headerBytesMax: 128 * KIB,
  headersMax: 200,
  connectionsMax: 10_000,
  backendConnectionsMax: 500,
  failedEndpointSkipMs: 30_000,
  holdRequestsMax: 1_000,
  holdBodyBytesMax: 64 * MIB,
  drainEmbeddedMs: 30_000,
  /** After every endpoint of a route refused the dial a request waits this long for the table to say more: the promise of "route change visible" (ours). */
  dialGraceMs: 1_000,
  /** A request's body may pause this long, then 408 (ours: slow uploads hold nothing for ever). */
  uploadIdleMs: 60_000,
  /** Only a backend connection that rested less than this carries a request that must not be repeated: older ones may be closing (ours). */
  reuseUnsafeIdleMs: 1_000,
  /** Idle backend connections are closed after this unless the app's Keep-Alive header says less (ours: under Node's 5 s). */
  backendKeepAliveMs: 4_000,
  /** Of a body that nobody wants any more (an error answered early), this much is still read, so that the client gets to see the answer (Go's net/http). */
  lingerBytesMax: 256 * KIB,
  /** A watch without any line, not even an empty one, is dead after this: the API is frozen, as by `apiSilenceMs`, and another one knows as much (ours). */
  watchSilenceMs: 8_000,
  watchEmptyLineMs: 2_000,
  watchRetryMaxMs: 1_000,
  /** Access log: one batch each 100 ms or 500 lines; beyond 10,000 waiting lines the newest are counted and dropped (ours). */
  accessLogFlushMs: 100,
  accessLogBatchMax: 500,
  accessLogBufferMax: 10_000,
  /** The link to another machine's agent: a byte each second, lost after three of silence, watched for a minute after its last use (ours). */
  linkPingMs: 1_000,
  linkSilenceMs: 3_000,
  linkIdleMs: 60_000,
  /** The same to an API, where there are others: one that is busy may stand still for some seconds (ours). */
  apiSilenceMs: 8_000,
  /** An agent that has ended is awaited this long where no other copy is left: it is started again at once, and its copies live on (ours). */
  agentGraceMs: 10_000,
  /** How often a request that waits looks whether the agent is back; and how long the end of its link may be told after that of a connection (ours). */
  agentLookMs: 100,
} as const;

export const TOKEN_LIMITS = {
  accessSeconds: 600,
  clientAccessSeconds: 12 * 3_600,
  refreshSeconds: 30 * 86_400,
  /** A used refresh token may come again within this: two commands at once, or an answer that got lost; later it ends its family (ours). */
  refreshReuseGraceMs: 30_000,
  clockLeewaySeconds: 30,
  loginFailuresMax: 5,
  loginFailureWindowMs: 300_000,
  loginLockMs: 300_000,
  /** One-time codes, as in UAA: as long as it takes to copy one. */
  passcodeMs: 300_000,
  /** A browser takes it on at once (RFC 6749, 4.1.2: ten minutes at most). */
  authorizationCodeMs: 60_000,
  /** From the first look at the sign-in page to the right password. */
  signInSeconds: 600,
} as const;

export const RETENTION = {
  packages: 5,
  droplets: 5,
  builds: 100,
  revisions: 100,
  deployments: 100,
  tasksMs: 31 * 86_400_000,
  jobsMs: 31 * 86_400_000,
} as const;

/** Restart of a part by the supervisor: 0.2, 0.4, 0.8 ... 10 s, forgotten after 60 s of life. */
export const SUPERVISOR = { backoffFirstMs: 200, backoffMaxMs: 10_000, resetAfterMs: 60_000 } as const;

/** Of an image that an app runs. */
export const IMAGE_LIMITS = {
  /** As many as an image can have with Docker, whose overlay takes no more (moby: layer_store.go). */
  layersMax: 127,
  /** As its registry has it: the largest that people run (machine learning) have some gigabytes (ours). */
  packedMaxBytes: 8 * 1024 ** 3,
  /** Laid out on a cell, counted as it is written (ours: four times what is packed, as text and programs are). */
  unpackedMaxBytes: 32 * 1024 ** 3,
} as const;
