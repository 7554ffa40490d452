/**
 * `compose prepare`, the first container of docker-compose.yml: makes what all others begin with. Idempotent, so that it may run at each `up`: what is there
 * stays. Each reader has a folder (a volume) of its own with its own copies, closed to all but the user that reads it in its container.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadSealer } from '@cupola/store/key-file';
import { hostCopyIn, pruneHostCopies } from '../host-copy.ts';
import { writeDurable } from '../platform-config.ts';

/** The user in the image of each; those of PostgreSQL and Redis are of their makers' images. */
const UIDS = { postgres: 999, redis: 999, s3: 1000, api: 1000, scheduler: 1000 } as const;
type Reader = keyof typeof UIDS;

const SECRETS = '/secrets';
/** The volume that the S3 server keeps its files in. */
const S3_DATA = '/s3';
const BUCKET = 'cupola';
const S3_ACCESS = 'cupola';

/** What the engines in docker-compose.yml are called there. */
const HOSTS = { postgres: 'postgres:5432', redis: 'redis:6379', s3: 'http://s3:7070' } as const;

/** Agents are on the machine's own network, where the S3 server has a port. */
const blobsUrl = (secret: string, port: string): string =>
  `s3://${S3_ACCESS}:${secret}@${BUCKET}?endpoint=${encodeURIComponent(HOSTS.s3)}&members=${encodeURIComponent(`http://127.0.0.1:${port}`)}`;

/** Appended to disk at once (a second is lost at most); no key may go to make room: docs/how-to/redis-and-s3.md. */
const redisConfig = (password: string): string => `bind * -::*
dir /data
appendonly yes
maxmemory 512mb
maxmemory-policy noeviction
requirepass ${password}
`;

export async function prepare(hostCopies: string): Promise<void> {
  for (const reader of Object.keys(UIDS) as Reader[]) {
    chownSync(join(SECRETS, reader), UIDS[reader], UIDS[reader]);
    chmodSync(join(SECRETS, reader), 0o700);
  }
  const postgres = make('postgres', 'password');
  const redis = make('redis', 'password');
  const s3 = make('s3', 'password');
  make('api', 'admin-password');
  give('redis', 'redis.conf', redisConfig(redis));
  give('s3', 's3.env', `ROOT_ACCESS_KEY=${S3_ACCESS}\nROOT_SECRET_KEY=${s3}\n`);
  const database = `postgres://cupola:${postgres}@${HOSTS.postgres}/cupola`;
  give('scheduler', 'database-url', database);
  give('api', 'database-url', database);
  give('api', 'redis-url', `redis://:${redis}@${HOSTS.redis}/0`);
  give('api', 'blobs-url', blobsUrl(s3, process.env.CUPOLA_S3_PORT || '7070'));
  makeKeys();
  for (const folder of ['buckets', `buckets/${BUCKET}`, 'sidecar']) {
    mkdirSync(join(S3_DATA, folder), { recursive: true, mode: 0o700 });
    chownSync(join(S3_DATA, folder), UIDS.s3, UIDS.s3);
  }
  await hostCopyIn(hostCopies);
  pruneHostCopies(hostCopies);
  console.log('Passwords, keys and the bucket are there.');
}

/** The secret of that name; made if there is none. */
function make(reader: Reader, name: string): string {
  const file = join(SECRETS, reader, name);
  if (!existsSync(file)) give(reader, name, randomBytes(24).toString('hex'));
  return readFileSync(file, 'utf8').trim();
}

function give(reader: Reader, name: string, text: string): void {
  const file = join(SECRETS, reader, name);
  writeDurable(file, text, 0o400);
  chownSync(file, UIDS[reader], UIDS[reader]);
}

/** That all APIs seal and open the secrets of the database with. */
function makeKeys(): void {
  const file = join(SECRETS, 'api', 'keys');
  loadSealer(file);
  chownSync(file, UIDS.api, UIDS.api);
}
