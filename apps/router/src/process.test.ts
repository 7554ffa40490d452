/** The router as the supervisor runs it: a process of its own, on a socket that was passed on. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { freePort } from '@cupola/process/free-port';
import { expect, test } from 'vitest';
import { ask, type FakeApi, fakeApi, httpBackend, routeTo, tempFolder, until } from './fixtures.ts';

interface Running extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly port: number;
  /** Resolves with exit code or signal. */
  readonly ended: Promise<number | string>;
}

async function runRouter(state: string, port = 0): Promise<Running> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts')], {
    env: {
      PATH: process.env.PATH ?? '',
      CUPOLA_STATE: state,
      CUPOLA_ROUTER_LISTEN: `127.0.0.1:${port}`,
      CUPOLA_ROUTER_PARENT_FD: '0',
      CUPOLA_ROUTER_READY_FD: '3',
      CUPOLA_LOG_LEVEL: 'error',
    },
    stdio: ['pipe', 'ignore', 'inherit', 'pipe'],
  });
  const ended = new Promise<number | string>(resolve =>
    child.once('exit', (code, signal) => resolve(signal ?? code ?? -1)),
  );
  const line = await new Promise<string>((resolve, reject) => {
    child.stdio[3]?.once('data', chunk => resolve(String(chunk)));
    void ended.then(how => reject(new Error(`the router ended: ${how}`)));
  });
  const { ready } = JSON.parse(line) as { ready: { port: number } };
  return {
    child,
    ended,
    port: ready.port,
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

async function stateFolder(): Promise<{ state: string; api: FakeApi } & AsyncDisposable> {
  const folder = tempFolder();
  const state = join(folder.path, 'state');
  mkdirSync(state);
  const api = await fakeApi(state);
  return {
    state,
    api,
    [Symbol.asyncDispose]: async () => {
      await api.away();
      folder[Symbol.dispose]();
    },
  };
}

function memoryPeakMb(pid: number | undefined): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

/** Sends `pieces` times `piece` and returns the sums of what came back. */
function exchange(port: number, piece: Buffer, pieces: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const hash = createHash('sha256');
    const request = http.request(
      { host: '127.0.0.1', port, method: 'POST', headers: { host: 'app.localhost' } },
      response => {
        response.on('data', (chunk: Buffer) => hash.update(chunk));
        response.on('end', () => resolve(hash.digest('hex')));
        response.on('error', reject);
      },
    );
    request.on('error', reject);
    let left = pieces;
    const more = (): void => {
      while (left > 0) {
        left--;
        if (!request.write(piece)) return void request.once('drain', more);
      }
      request.end();
    };
    more();
  });
}

test('100 MB each way at once pass in bounded memory, unchanged', async () => {
  await using backend = await httpBackend((request, response) => void request.pipe(response));
  await using world = await stateFolder();
  world.api.upsert(routeTo([backend.port]));
  await using router = await runRouter(world.state);
  const piece = randomBytes(1024 * 1024);
  await until(() => world.api.watchers === 1);
  while ((await ask(router.port)).status !== 200);
  await exchange(router.port, piece, 20); // The heap reaches its working size.
  const before = memoryPeakMb(router.child.pid);
  const sum = createHash('sha256');
  for (let n = 0; n < 100; n++) sum.update(piece);
  expect(await exchange(router.port, piece, 100)).toBe(sum.digest('hex'));
  // Garbage that is not collected yet, on a busy machine some 50 MB; kept whole it would be 100, or both ways 200.
  expect(memoryPeakMb(router.child.pid) - before).toBeLessThan(80);
});

test("SIGTERM, and the end of the parent's pipe, end it in order", async () => {
  await using world = await stateFolder();
  await using one = await runRouter(world.state);
  one.child.kill('SIGTERM');
  expect(await one.ended).toBe(0);
  await using two = await runRouter(world.state);
  two.child.stdin?.end();
  expect(await two.ended).toBe(0);
});

test('killed with -9, the next one answers with the old table while the API is away', async () => {
  await using backend = await httpBackend((_request, response) => response.end('ok'));
  await using world = await stateFolder();
  world.api.upsert(routeTo([backend.port]));
  await using first = await runRouter(world.state, await freePort());
  const file = join(world.state, 'router-table.json');
  await until(() => {
    try {
      return readFileSync(file, 'utf8').includes('route-1');
    } catch {
      return false; // Not written yet.
    }
  });
  await world.api.away();
  first.child.kill('SIGKILL');
  await first.ended;
  await using second = await runRouter(world.state, first.port);
  expect((await ask(second.port)).body).toBe('ok');
});

test('settings that cannot be used are named, exit code 2', async () => {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts')], {
    env: { PATH: process.env.PATH ?? '' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let text = '';
  child.stderr.on('data', chunk => {
    text += chunk;
  });
  expect(await new Promise(resolve => child.once('close', resolve))).toBe(2);
  expect(text).toMatch(/CUPOLA_STATE[\s\S]*CUPOLA_ROUTER_LISTEN/);
});
