/**
 * `./cupola program api`: an API alone, one of several of a cluster: state on PostgreSQL, logs and build queue on Redis, packages and droplets on S3.
 * Embedded, apps/control starts it beside the scheduler.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { BlobStore } from '@cupola/blobs/blob-store';
import { commonSettings, runProgram } from '@cupola/process/run';
import { databaseUrl, listenAddress } from '@cupola/process/settings';
import { z } from 'zod';
import type { ApiConfig } from './deps.ts';
import { readinessOf } from './metrics/readiness.ts';
import { createRequestMetrics } from './metrics/request-metrics.ts';
import { addStoreMetrics } from './metrics/store-metrics.ts';
import { start } from './start.ts';

const settings = z.object({
  ...commonSettings,
  CUPOLA_DATABASE_URL: databaseUrl,
  CUPOLA_REDIS_URL: z.string().regex(/^rediss?:\/\//, 'write redis://:PASSWORD@HOST:6379/0'),
  /** Or a folder that all APIs see, and on which a rename is whole. */
  CUPOLA_BLOBS_URL: z
    .string()
    .regex(/^(s3:\/\/|\/)/, 'write s3://BUCKET?endpoint=https://HOST&region=REGION, or a folder that all APIs share'),
  /** File of the keys that secrets in the database are sealed with: the same for every API. */
  CUPOLA_KEYS: z.string().min(1),
  /** A folder of this process's own: uploads on their way, and its socket for commands of the operator. */
  CUPOLA_WORK: z.string().startsWith('/', 'write an absolute folder'),
  /** Of the API, as users reach it. */
  CUPOLA_PUBLIC_URL: z.url('write the URL that users reach the API under, for example https://api.example.com'),
  CUPOLA_DOMAIN: z.string().min(1),
  /** That users put behind an app's host; empty: the scheme's own. */
  CUPOLA_APPS_PORT: z
    .string()
    .regex(/^\d{0,5}$/, 'write a port, or nothing for that of the scheme')
    .default('')
    .transform(text => (text === '' ? null : Number(text))),
  CUPOLA_APPS_SCHEME: z.enum(['http', 'https']).default('http'),
  /** Where routers speak HTTPS beside that: `HOST:PORT` of each as this API reaches them, with commas between; and the port that users know. Empty: they do not. */
  CUPOLA_ROUTERS_HTTPS: z
    .string()
    .default('')
    .transform(text => text.split(',').filter(address => address.trim() !== ''))
    .pipe(z.array(z.string().trim().pipe(listenAddress))),
  CUPOLA_HTTPS_PORT: z.coerce.number().int().positive().default(443),
  /** How these have their certificates. */
  CUPOLA_CERTIFICATES: z.enum(['own', 'given', 'acme']).default('own'),
  CUPOLA_LISTEN: listenAddress,
  /** Where agents, stagers and routers call. */
  CUPOLA_CLUSTER_LISTEN: listenAddress,
  /** Of the user admin; counts at the first start of all only. */
  CUPOLA_ADMIN_PASSWORD: z.string().min(1),
  CUPOLA_DRAIN_TARGETS: z.string().default(''),
  /** Where apps/git listens; without it no push by git is received. */
  CUPOLA_GIT_URL: z.url('write the address of apps/git, for example http://git:8085').exactOptional(),
  /** The dashboard's files, where an image brings them along; else they are built when first asked for. */
  CUPOLA_DASHBOARD: z.string().startsWith('/', 'write an absolute folder').exactOptional(),
  /** That apps/git has too, and the port where users reach it over SSH; without them it is not spoken. */
  CUPOLA_GIT_SECRET: z.string().min(32, 'write 32 characters or more that nobody can guess').exactOptional(),
  CUPOLA_GIT_SSH_PORT: z.coerce.number().int().positive().exactOptional(),
  CUPOLA_VERSION: z.string().default('0.0.0'),
});

function httpsOf(env: z.infer<typeof settings>): ApiConfig['https'] {
  const { CUPOLA_ROUTERS_HTTPS: doors, CUPOLA_HTTPS_PORT: port, CUPOLA_CERTIFICATES: certificates } = env;
  return doors.length === 0 ? null : { port: port === 443 ? null : port, certificates, doors };
}

await runProgram('api', settings, async (env, log, health) => {
  await using starting = new AsyncDisposableStack();
  const [{ openPostgresStore }, { openRedisLogs }, { openRedisQueue }, { connectRedis }, { loadSealer }] =
    await Promise.all([
      import('@cupola/store/postgres'),
      import('@cupola/logs/redis'),
      import('@cupola/queue/redis'),
      import('@cupola/redis/connect'),
      import('@cupola/store/key-file'),
    ]);
  const uploadFolder = join(env.CUPOLA_WORK, 'uploads');
  mkdirSync(uploadFolder, { recursive: true, mode: 0o700 });
  const store = await openPostgresStore({ url: env.CUPOLA_DATABASE_URL });
  starting.defer(() => store.close());
  if (
    !existsSync(env.CUPOLA_KEYS) &&
    (await store.read.selectFrom('users').select('guid').limit(1).execute()).length > 0
  )
    throw new Error(
      `${env.CUPOLA_KEYS} is not there, and the database holds secrets that were sealed with it: copy it from another API, or from a backup`,
    );
  const logs = openRedisLogs({ url: env.CUPOLA_REDIS_URL });
  starting.defer(() => logs.close());
  const queue = openRedisQueue({ url: env.CUPOLA_REDIS_URL });
  starting.defer(() => queue.close());
  const pinged = health === null ? null : starting.use(connectRedis(env.CUPOLA_REDIS_URL));
  if (health !== null) addStoreMetrics(health.metrics, { store, now: Date.now, monotonic: () => performance.now() });
  const blobs = await openBlobs(env.CUPOLA_BLOBS_URL, env.CUPOLA_WORK, starting);
  const api = starting.use(
    await start({
      store,
      logs,
      queue,
      blobs,
      sealer: loadSealer(env.CUPOLA_KEYS),
      config: {
        publicUrl: env.CUPOLA_PUBLIC_URL.replace(/\/$/, ''),
        appsDomain: env.CUPOLA_DOMAIN,
        appsPort: env.CUPOLA_APPS_PORT,
        appsScheme: env.CUPOLA_APPS_SCHEME,
        https: httpsOf(env),
        uploadFolder,
        stackFolder: join(env.CUPOLA_WORK, 'stacks'),
        addedStacks: join(env.CUPOLA_WORK, 'added-stacks'),
        dashboard: { built: env.CUPOLA_DASHBOARD ?? null, folder: join(env.CUPOLA_WORK, 'dashboard') },
        version: env.CUPOLA_VERSION,
      },
      listen: env.CUPOLA_LISTEN,
      internal: { socketPath: join(env.CUPOLA_WORK, 'internal.sock'), members: env.CUPOLA_CLUSTER_LISTEN },
      drainTargets: env.CUPOLA_DRAIN_TARGETS.split(',')
        .map(target => target.trim())
        .filter(target => target !== ''),
      admin: { password: env.CUPOLA_ADMIN_PASSWORD, reset: false },
      ...(env.CUPOLA_GIT_URL === undefined
        ? {}
        : {
            git: {
              url: env.CUPOLA_GIT_URL,
              secret: env.CUPOLA_GIT_SECRET ?? '',
              sshPort: env.CUPOLA_GIT_SSH_PORT ?? null,
            },
          }),
      log,
      ...(health === null ? {} : { requestDone: createRequestMetrics(health.metrics) }),
      now: Date.now,
    }),
  );
  const running = starting.move();
  return {
    ready: { address: api.address, members: api.members },
    ...(pinged === null ? {} : { readiness: () => readinessOf(store, pinged) }),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
});

async function openBlobs(place: string, work: string, starting: AsyncDisposableStack): Promise<BlobStore> {
  if (place.startsWith('/')) {
    const { openFileBlobs } = await import('@cupola/blobs/files');
    return openFileBlobs({ folder: place });
  }
  const { openS3Blobs } = await import('@cupola/blobs/s3');
  const blobs = openS3Blobs({ url: place, folder: join(work, 'blobs') });
  starting.defer(() => blobs.close());
  return blobs;
}
