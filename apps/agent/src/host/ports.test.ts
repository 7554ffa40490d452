import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { tempFolder } from '../fixtures.ts';
import { openPorts } from './ports.ts';

test('lease() hands out ports in a circle: a released one comes again only after the others, over a restart too', async () => {
  using folder = tempFolder();
  const ports = openPorts({ folder: folder.path });
  const first = await ports.lease();
  ports.release(first);
  const second = await ports.lease();
  const third = await openPorts({ folder: folder.path }).lease();
  expect(new Set([first, second, third]).size).toBe(3);
});

test('lease() leaves out a port that somebody listens on', async () => {
  using folder = tempFolder();
  const probe = await openPorts({ folder: folder.path }).lease();
  const server = createServer().listen(probe + 1, '127.0.0.1');
  await once(server, 'listening');
  try {
    expect(await openPorts({ folder: folder.path }).lease()).not.toBe(probe + 1);
  } finally {
    server.close();
  }
});

test('lease() leaves out a port that an adopted copy has', async () => {
  using folder = tempFolder();
  const probe = await openPorts({ folder: folder.path }).lease();
  const ports = openPorts({ folder: folder.path });
  ports.take(probe + 1);
  expect(await ports.lease()).not.toBe(probe + 1);
});
