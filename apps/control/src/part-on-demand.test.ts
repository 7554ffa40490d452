import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { createConnection, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Part } from './part.ts';
import { startOnDemand } from './part-on-demand.ts';

let folder: string;
let log: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cupola-demand-'));
  log = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A part that answers what it is told, in capitals. */
function echo(): Part {
  log.push('start');
  const server: Server = createServer({ allowHalfOpen: true }, socket => {
    socket.setEncoding('utf8').on('data', (text: string) => socket.write(text.toUpperCase()));
    socket.on('end', () => socket.end());
  });
  const listening = new Promise<void>(resolve => server.listen(join(folder, 'part.sock'), resolve));
  return {
    name: 'echo',
    pid: 1,
    restarts: 0,
    isRefused: false,
    ready: async () => {
      await listening;
      return {};
    },
    replaceBeside: async () => undefined,
    replaceAfter: async () => undefined,
    tell: () => undefined,
    end: async () => {
      log.push('end');
      await new Promise<void>(resolve => server.close(() => resolve()));
    },
  };
}

function ask(text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(join(folder, 'door.sock'));
    let answer = '';
    socket.setEncoding('utf8').on('data', (piece: string) => {
      answer += piece;
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(answer));
    socket.end(text);
  });
}

const options = () => ({
  name: 'echo',
  doors: [{ path: join(folder, 'door.sock'), uid: null, socketPath: join(folder, 'part.sock') }],
  start: echo,
});

test('the first connection starts the part, others find it, and it ends when nobody wants it any more', async () => {
  const part = await startOnDemand({ ...options(), idleMs: 50 });
  expect(part.pid).toBeNull();
  expect(log).toEqual([]);
  expect(await Promise.all([ask('one'), ask('two')])).toEqual(['ONE', 'TWO']);
  expect(log).toEqual(['start']);
  await expect.poll(() => part.pid).toBeNull();
  expect(log).toEqual(['start', 'end']);
  expect(await ask('three')).toBe('THREE');
  expect(log).toEqual(['start', 'end', 'start']);
  await part.end(100);
  expect(log).toEqual(['start', 'end', 'start', 'end']);
});

test('only its owner may open the door', async () => {
  const part = await startOnDemand(options());
  expect(statSync(join(folder, 'door.sock')).mode & 0o777).toBe(0o600);
  await part.end(100);
});
