/** For tests: ports for what begins to listen later, or stops and starts again. One that the kernel chose (port 0) it may lend to any connection meanwhile. */
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below those that the kernel gives to connections: while a program is away nobody else has its port. */
const PORTS = { first: 15_000, count: 16_000 } as const;

/** A port that was free, and that a program may have at each of its starts. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
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
