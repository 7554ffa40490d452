/** For tests: a Redis server of its own in a temp folder, on a port that was free. Keeps its data over a restart, as an operator would have it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';

export interface RedisServer extends AsyncDisposable {
  url: string;
  /** SIGSTOP and SIGCONT freeze and thaw it. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  /** Ends it, at once unless told otherwise; `start` brings it back with its data. */
  kill(signal?: 'SIGKILL' | 'SIGTERM'): Promise<void>;
  start(): Promise<void>;
  /** Runs one command on a connection of its own. */
  command(name: string, ...words: string[]): Promise<unknown>;
}

export async function startRedis({ settings = [] }: { settings?: readonly string[] } = {}): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-redis-'));
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  let server: ChildProcess;

  async function start(): Promise<void> {
    const words = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--appendonly', 'yes', '--save', ''];
    server = spawn('redis-server', [...words, ...settings], { stdio: 'ignore', cwd: folder });
    const missing = once(server, 'error').then(([error]) => {
      throw new Error('Redis cannot be started: apt-get install redis-server', { cause: error });
    });
    missing.catch(() => undefined);
    await Promise.race([untilItAnswers(), missing]);
  }

  async function untilItAnswers(): Promise<void> {
    while (server.exitCode === null) {
      const client = new Redis(url, { retryStrategy: () => null, lazyConnect: true });
      client.on('error', () => undefined);
      try {
        await client.connect();
        return client.disconnect();
      } catch {
        client.disconnect(); // Not yet.
        await new Promise(resolve => setTimeout(resolve, 10));
      }
    }
    throw new Error(`redis-server ended with ${server.exitCode}`);
  }

  async function kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const ended = once(server, 'exit');
    server.kill(signal);
    await ended;
  }

  await start();
  return {
    url,
    signal: signal => server.kill(signal),
    kill,
    start,
    command: async (name, ...words) => {
      const client = new Redis(url);
      try {
        return await client.call(name, ...words);
      } finally {
        client.disconnect();
      }
    },
    [Symbol.asyncDispose]: async () => {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Below those that the kernel lends to connections: nobody gets it while the server is away. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 5_000);
    const server = createServer().listen(port, '127.0.0.1');
    const isFree = await Promise.race([
      once(server, 'listening').then(() => true),
      once(server, 'error').then(() => false),
    ]).catch(() => false);
    if (!isFree) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}
