/**
 * A whole API for tests: real store, blobs, logs and queue on a temp folder, real HTTP on a free port, after its first start. `await using test = await
 * startTestApi()`; then `test.api('GET', '/v3/apps', { token: test.admin })`.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BlobStore } from '@cupola/blobs/blob-store';
import { openFileBlobs } from '@cupola/blobs/files';
import type { LogStore } from '@cupola/logs/log-store';
import { openSegmentLogs } from '@cupola/logs/segments';
import { ROLE_TYPES, type RoleType } from '@cupola/model/states';
import { embeddedQueue } from '@cupola/queue/embedded';
import { aRole, aUser, testSealer } from '@cupola/store/fixtures';
import type { Store } from '@cupola/store/store';
import { openTestStore } from '@cupola/store/test-store';
import { pino } from 'pino';
import type { ApiDeps } from './deps.ts';
import type { GitPart } from './git/pass-on.ts';
import { start } from './start.ts';
import { hashPassword } from './uaa/passwords.ts';
import { newSigningKey } from './uaa/tokens.ts';

/** JSON as it came, to be looked into without ceremony. */
// biome-ignore lint/suspicious/noExplicitAny: a test looks into answers of every shape; what it expects of them is its assertion.
export type Json = any;

export interface TestAnswer {
  status: number;
  headers: Headers;
  /** Parsed JSON; text when it is none; undefined when empty. */
  body: Json;
}
export interface TestCall {
  token?: string;
  body?: unknown;
  yaml?: string;
  form?: Record<string, string> | FormData;
  headers?: Record<string, string>;
}
/** Roles of a new user, by the guid of what they are in. */
export type RolesIn = Partial<Record<RoleType, string | readonly string[]>>;

export interface TestApi extends AsyncDisposable {
  /** What handlers get, without what `start` makes itself. */
  deps: Pick<ApiDeps, 'store' | 'blobs' | 'logs' | 'queue' | 'sealer' | 'config' | 'log' | 'now'>;
  /** Origin of the public listener, which is `config.publicUrl` too. */
  url: string;
  socketPath: string;
  /** Token of the admin of the first start, whose password is `ADMIN_PASSWORD`. */
  admin: string;
  home: { organizationGuid: string; spaceGuid: string; domainGuid: string; adminGuid: string };
  clock: { now(): number; pass(ms: number): void };
  api(method: string, path: string, call?: TestCall): Promise<TestAnswer>;
  /** A new user with these roles, logged in. A space's role brings `organization_user` with it, as CF demands. */
  userWith(roles?: RolesIn): Promise<TestUser>;
}
export interface TestUser {
  token: string;
  guid: string;
  username: string;
}

export const ADMIN_PASSWORD = 'correct horse';
/** As cheap as scrypt goes: tests log in often. */
const CHEAP = { N: 2, r: 1, p: 1 };
/** 2026-01-02T03:04:05Z */
const TEST_NOW = 1_767_323_045_000;

/** One key for all the APIs of a test file: making one takes longer than most tests. */
const SIGNING_KEY = newSigningKey(testSealer, TEST_NOW);

export interface TestOptions {
  appsPort?: number | null;
  /** What the log would say, a line each. */
  log?: (line: string) => void;
  /** What syslog drains may reach though it is not public. */
  drainTargets?: readonly string[];
  /** With outbox and sweeper. Without them nothing but what a test does changes a row. */
  loops?: boolean;
  /** Whether a commit waits until it is on disk. */
  isSynced?: boolean;
  /** What the API gets for the store: to look at it, or to undo what it writes. */
  wrapStore?: (store: Store) => Store;
  /** Blobs elsewhere than in the test's folder; closed by who opened them. */
  blobs?: BlobStore;
  /** What the API gets for the logs. */
  wrapLogs?: (logs: LogStore) => LogStore;
  /** Where git runs; not given: nowhere. */
  git?: GitPart;
  /** How often push events are looked for that nobody works at; only with `loops`. */
  gitLookMs?: number;
  /** Where routers speak HTTPS. */
  https?: NonNullable<ApiDeps['config']['https']>;
  /** Files of the dashboard, made before. */
  dashboard?: string;
  /** Told of each request. */
  requestDone?: NonNullable<ApiDeps['requestDone']>;
}

export async function startTestApi(options: TestOptions = {}): Promise<TestApi> {
  const { appsPort = 8_080, drainTargets = [], log, loops = false, wrapStore = (store: Store) => store } = options;
  const { wrapLogs = (logs: LogStore) => logs } = options;
  const folder = await mkdtemp(join(tmpdir(), 'cupola-api-'));
  const stack = new AsyncDisposableStack();
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  let passed = 0;
  const clock = {
    now: () => TEST_NOW + passed,
    pass: (ms: number) => {
      passed += ms;
    },
  };
  const { store } = stack.use(await openTestStore({ now: clock.now, isSynced: options.isSynced ?? false }));
  const signingKey = await SIGNING_KEY;
  await store.note(({ db }) => db.insertInto('signing_keys').values(signingKey).execute());
  const logs = openSegmentLogs({ folder: join(folder, 'logs') });
  stack.defer(() => logs.close());
  const queue = embeddedQueue(store);
  stack.defer(() => queue.close());
  const blobs = options.blobs ?? openFileBlobs({ folder: join(folder, 'blobs') });
  const socketPath = join(folder, 'internal.sock');
  const deps = {
    store,
    logs,
    queue,
    blobs,
    sealer: testSealer,
    config: {
      publicUrl: 'http://127.0.0.1:0',
      appsDomain: 'localhost',
      appsPort,
      appsScheme: 'http' as const,
      https: options.https ?? null,
      uploadFolder: join(folder, 'blobs', 'tmp'),
      stackFolder: join(folder, 'stacks'),
      addedStacks: join(folder, 'added-stacks'),
      dashboard: { built: options.dashboard ?? null, folder: join(folder, 'dashboard') },
      version: '0.0.0-test',
    },
    log: log === undefined ? pino({ level: 'silent' }) : pino({ level: 'debug' }, { write: log }),
    now: clock.now,
  };
  const api = await start({
    ...deps,
    store: wrapStore(store),
    logs: wrapLogs(logs),
    listen: { host: '127.0.0.1', port: 0 },
    internal: { socketPath },
    monotonic: clock.now,
    ...(options.requestDone === undefined ? {} : { requestDone: options.requestDone }),
    ...(options.git === undefined ? {} : { git: options.git }),
    ...(options.gitLookMs === undefined ? {} : { gitLookMs: options.gitLookMs }),
    drainTargets,
    movePauseMs: 0,
    loops,
    admin: { password: ADMIN_PASSWORD, reset: false },
    hashCost: CHEAP,
  });
  stack.use(api);
  // Known only now; handlers read it at each request.
  const url = `http://127.0.0.1:${api.address.port}`;
  deps.config.publicUrl = url;
  const call = caller(url);
  const login = loginer(call);
  return {
    deps,
    url,
    socketPath,
    clock,
    admin: await login('admin'),
    home: await findHome(store),
    api: call,
    userWith: userMaker(store, login),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

type Call = TestApi['api'];

function caller(url: string): Call {
  return async (method, path, asked = {}) => {
    const { token, body, yaml, headers } = asked;
    const answer = await fetch(new URL(path, url), {
      method,
      redirect: 'manual',
      headers: {
        accept: 'application/json',
        ...(token === undefined ? {} : { authorization: `bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(yaml === undefined ? {} : { 'content-type': 'application/x-yaml' }),
        ...headers,
      },
      body: sent(asked),
    });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, body: read(text) };
  };
}

/** A `FormData` or `URLSearchParams` brings its own content type. */
function sent({ body, yaml, form }: TestCall): string | FormData | URLSearchParams | null {
  if (yaml !== undefined) return yaml;
  if (form !== undefined) return form instanceof FormData ? form : new URLSearchParams(form);
  if (body === undefined) return null;
  return typeof body === 'string' ? body : JSON.stringify(body);
}

function read(text: string): Json {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text; // YAML, or bytes of a download.
  }
}

type Login = (username: string) => Promise<string>;

function loginer(call: Call): Login {
  return async username => {
    const answer = await call('POST', '/oauth/token', {
      form: { grant_type: 'password', username, password: ADMIN_PASSWORD },
      headers: { authorization: `Basic ${btoa('cf:')}` },
    });
    if (answer.status !== 200) throw new Error(`login of ${username}: ${JSON.stringify(answer.body)}`);
    return answer.body.access_token;
  };
}

function userMaker(store: Store, login: Login): TestApi['userWith'] {
  return async (roles = {}) => {
    const user = await aUser(store, { password_hash: await hashPassword(ADMIN_PASSWORD, CHEAP) });
    const organizations = new Set<string>();
    for (const type of ROLE_TYPES)
      for (const guid of [roles[type] ?? []].flat()) {
        const isOfSpace = type.startsWith('space_');
        await aRole(store, {
          type,
          user_guid: user.guid,
          ...(isOfSpace ? { space_guid: guid } : { organization_guid: guid }),
        });
        if (type === 'organization_user') organizations.add(guid);
        if (!isOfSpace) continue;
        const space = store.read.selectFrom('spaces').select('organization_guid').where('guid', '=', guid);
        const { organization_guid } = await space.executeTakeFirstOrThrow();
        if (organizations.has(organization_guid)) continue;
        organizations.add(organization_guid);
        await aRole(store, { type: 'organization_user', user_guid: user.guid, organization_guid });
      }
    return { token: await login(user.username), guid: user.guid, username: user.username };
  };
}

async function findHome(store: Store): Promise<TestApi['home']> {
  const one = async (table: 'organizations' | 'spaces' | 'users'): Promise<string> =>
    (await store.read.selectFrom(table).select('guid').executeTakeFirstOrThrow()).guid;
  const { guid: domainGuid } = await store.read
    .selectFrom('domains')
    .select('guid')
    .where('internal', '=', 0)
    .executeTakeFirstOrThrow();
  return {
    organizationGuid: await one('organizations'),
    spaceGuid: await one('spaces'),
    domainGuid,
    adminGuid: await one('users'),
  };
}
