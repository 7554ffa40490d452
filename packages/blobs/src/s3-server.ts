/** For tests: a real S3 server (versitygw) over a folder of its own, on a port that was free. `test/s3-setup.ts` builds the program. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

export const VERSITYGW = 'github.com/versity/versitygw/cmd/versitygw@v1.8.0';
/** Outside of every checkout: it takes two minutes to build. */
export const S3_PROGRAMS = join(
  process.env.XDG_CACHE_HOME || join(homedir(), '.cache'),
  'cupola-tests',
  VERSITYGW.slice(VERSITYGW.lastIndexOf('/') + 1),
);
/** Why it could not be built, as long as the run lasts that was to build it. */
export const S3_FAILED = `${S3_PROGRAMS}.failed`;

/**
 * The server's program, once it is built.
 *
 * @throws what the build said, if it failed
 */
export async function s3Program(): Promise<string> {
  const program = join(S3_PROGRAMS, 'versitygw');
  while (!existsSync(program)) {
    if (existsSync(S3_FAILED)) throw new Error(readFileSync(S3_FAILED, 'utf8'));
    await pause(100);
  }
  return program;
}

export interface S3Server extends AsyncDisposable {
  endpoint: string;
  /** `s3://` address of a bucket that is made empty. */
  bucket(name: string): string;
  /** Where its objects lie as files. */
  folderOf(bucket: string): string;
  /** SIGSTOP and SIGCONT freeze and thaw it. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  kill(signal?: 'SIGKILL' | 'SIGTERM'): Promise<void>;
  start(): Promise<void>;
}

export const ACCESS = 'test-access';
export const SECRET = 'test/secret';

export async function startS3(): Promise<S3Server> {
  const program = await s3Program();
  const folder = mkdtempSync(join(tmpdir(), 'cupola-s3-'));
  const buckets = join(folder, 'buckets');
  mkdirSync(buckets);
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  let server: ChildProcess;

  async function start(): Promise<void> {
    const words = ['--port', `127.0.0.1:${port}`, '--access', ACCESS, '--secret', SECRET, '--quiet', '--keep-alive'];
    // Beside the files: not every file system of a test machine has extended attributes.
    const sidecar = join(folder, 'sidecar');
    mkdirSync(sidecar, { recursive: true });
    server = spawn(program, [...words, 'posix', '--sidecar', sidecar, buckets], {
      stdio: 'ignore',
      cwd: folder,
    });
    while (!(await answers(endpoint))) {
      if (server.exitCode !== null) throw new Error(`versitygw ended with ${server.exitCode}`);
      await pause(20);
    }
  }

  async function kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const ended = once(server, 'exit');
    server.kill(signal);
    await ended;
  }

  await start();
  const folderOf = (bucket: string): string => join(buckets, bucket);
  return {
    endpoint,
    folderOf,
    bucket: name => {
      rmSync(folderOf(name), { recursive: true, force: true });
      rmSync(join(folder, 'sidecar', name), { recursive: true, force: true });
      mkdirSync(folderOf(name));
      return `s3://${ACCESS}:${encodeURIComponent(SECRET)}@${name}?endpoint=${encodeURIComponent(endpoint)}`;
    },
    signal: signal => server.kill(signal),
    kill,
    start,
    [Symbol.asyncDispose]: async () => {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const answers = (endpoint: string): Promise<boolean> =>
  fetch(endpoint).then(
    () => true,
    () => false,
  );

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
