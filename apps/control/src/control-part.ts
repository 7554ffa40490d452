/** The part `control`: api and scheduler in one process, over the embedded adapters. Holds the store; never touches what an upload contains but to check and keep it. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { start as startApi } from '@cupola/api/start';
import type { LogStore } from '@cupola/logs/log-store';
import { openSegmentLogs } from '@cupola/logs/segments';
import { CELL_LIMITS } from '@cupola/model/limits';
import type { BuildQueue } from '@cupola/queue/build-queue';
import { embeddedQueue } from '@cupola/queue/embedded';
import { start as startScheduler } from '@cupola/scheduler/start';
import { loadSealer } from '@cupola/store/key-file';
import type { Store } from '@cupola/store/store';
import { type Logger, pino } from 'pino';
import { z } from 'zod';
import { openBlobs } from './open-blobs.ts';
import { openStore } from './open-store.ts';
import { type RunningPart, runPart } from './part-process.ts';
import { VERSION } from './version.ts';

const environment = z.object({
  CUPOLA_STATE: z.string().min(1),
  /** Of added stacks; a supervisor of before they were says nothing. */
  CUPOLA_STACKS: z.string().default('/nonexistent'),
  CUPOLA_API_FD: z.coerce.number().int().nonnegative(),
  /** Where members of the cluster call; without it there are none. */
  CUPOLA_CLUSTER_FD: z.coerce.number().int().nonnegative().exactOptional(),
  CUPOLA_PUBLIC_URL: z.url(),
  CUPOLA_DOMAIN: z.string().min(1),
  CUPOLA_PORT: z.coerce.number().int().positive(),
  /** Of HTTPS to apps, and whose certificates are shown there; a supervisor of before says nothing. */
  CUPOLA_HTTPS_PORT: z.coerce.number().int().positive().exactOptional(),
  CUPOLA_CERTIFICATES: z.enum(['own', 'given', 'acme']).default('own'),
  /** Where this machine's own router is dialled to look at them. */
  CUPOLA_HTTPS_HOST: z.string().min(1).default('127.0.0.1'),
  CUPOLA_ADMIN_PASSWORD: z.string().min(1),
  /** `1`: the operator gave a new password; else it counts at the first start only. */
  CUPOLA_ADMIN_PASSWORD_RESET: z.enum(['0', '1']).default('0'),
  /** By which git's part is known; and its port of SSH, empty where there is none. */
  CUPOLA_GIT_SECRET: z.string().default(''),
  CUPOLA_GIT_SSH_PORT: z
    .string()
    .default('')
    .transform(text => (text === '' ? null : Number(text))),
  /** Addresses or networks of private log servers, with commas between: syslog drains may reach them. */
  CUPOLA_DRAIN_TARGETS: z.string().default(''),
  /** `redis://...`: build queue and logs lie there. Empty: in the data folder. */
  CUPOLA_REDIS_URL: z.string().default(''),
  /** The dashboard's files, where an image brings them along; else they are built when first asked for. */
  CUPOLA_DASHBOARD: z.string().min(1).exactOptional(),
  CUPOLA_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
});

export async function runControl(): Promise<void> {
  const env = environment.parse(process.env);
  const log = pino({ name: 'control', level: env.CUPOLA_LOG_LEVEL });
  await runPart(log, () => startControl(env, log));
}

function httpsOf(env: z.infer<typeof environment>) {
  const { CUPOLA_HTTPS_HOST: host, CUPOLA_HTTPS_PORT: port, CUPOLA_CERTIFICATES: certificates } = env;
  if (port === undefined) return null;
  return { port: port === 443 ? null : port, certificates, doors: [{ host, port }] };
}

async function openLogsAndQueue(
  { CUPOLA_REDIS_URL: url, CUPOLA_STATE: state }: z.infer<typeof environment>,
  store: Store,
): Promise<{ logs: LogStore; queue: BuildQueue }> {
  if (url === '') return { logs: openSegmentLogs({ folder: join(state, 'logs') }), queue: embeddedQueue(store) };
  const [{ openRedisLogs }, { openRedisQueue }] = await Promise.all([
    import('@cupola/logs/redis'),
    import('@cupola/queue/redis'),
  ]);
  return { logs: openRedisLogs({ url }), queue: openRedisQueue({ url }) };
}

async function startControl(env: z.infer<typeof environment>, log: Logger): Promise<RunningPart> {
  const state = env.CUPOLA_STATE;
  const uploadFolder = join(state, 'uploads');
  mkdirSync(uploadFolder, { recursive: true, mode: 0o700 });
  const stack = new AsyncDisposableStack();
  const store = await openStore(state);
  stack.defer(() => store.close());
  const { logs, queue } = await openLogsAndQueue(env, store);
  stack.defer(() => logs.close());
  stack.defer(() => queue.close());
  const { blobs } = stack.use(await openBlobs(state, log));
  const api = await startApi({
    store,
    logs,
    queue,
    blobs,
    sealer: loadSealer(join(state, 'keys')),
    config: {
      publicUrl: env.CUPOLA_PUBLIC_URL,
      appsDomain: env.CUPOLA_DOMAIN,
      appsPort: env.CUPOLA_PORT === 80 ? null : env.CUPOLA_PORT,
      appsScheme: 'http',
      https: httpsOf(env),
      uploadFolder,
      stackFolder: join(state, 'stacks'),
      addedStacks: env.CUPOLA_STACKS,
      dashboard: { built: env.CUPOLA_DASHBOARD ?? null, folder: join(state, 'dashboard') },
      version: VERSION,
    },
    listen: { fd: env.CUPOLA_API_FD },
    internal: {
      socketPath: join(state, 'internal.sock'),
      ...(env.CUPOLA_CLUSTER_FD === undefined ? {} : { members: { fd: env.CUPOLA_CLUSTER_FD } }),
    },
    routerSocket: join(state, 'api.sock'),
    // The supervisor listens there, and starts the part when somebody pushes.
    git: {
      socketPath: join(state, 'git.sock'),
      secret: env.CUPOLA_GIT_SECRET,
      sshPort: env.CUPOLA_GIT_SSH_PORT,
    },
    drainTargets: env.CUPOLA_DRAIN_TARGETS.split(',')
      .map(target => target.trim())
      .filter(target => target !== ''),
    admin: { password: env.CUPOLA_ADMIN_PASSWORD, reset: env.CUPOLA_ADMIN_PASSWORD_RESET === '1' },
    log: log.child({ part: 'api' }),
    now: Date.now,
  });
  stack.use(api);
  const scheduler = await startScheduler({
    store,
    log: log.child({ part: 'scheduler' }),
    now: Date.now,
    monotonic: () => performance.now(),
    passMs: CELL_LIMITS.convergenceEmbeddedMs,
    // The lock of the data folder says so.
    isAlone: true,
  });
  stack.use(scheduler);
  return { facts: { address: api.address }, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
