/**
 * Ports on loopback for copies that share the host's network: one for each start, tried by binding it. They are handed out in a circle, whose position is on
 * disk, so that the same port comes again only after all others: a request for the copy that had it before cannot meet its successor within 60 s.
 */
import { createHash } from 'node:crypto';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { SandboxError } from '@cupola/sandbox/sandbox';
import { readSmallFile, writeSmallFile } from './small-file.ts';

/** Above the range from which Linux takes ports for outgoing connections (32768 to 60999), as Diego does. */
const RANGE = { first: 61_001, count: 4_500 } as const;

export interface Ports {
  /** A port that nobody listens on. @throws SandboxError when there is none. */
  lease(): Promise<number>;
  /** A copy that was adopted has it already. */
  take(port: number): void;
  release(port: number): void;
}

export function openPorts({ folder }: { folder: string }): Ports {
  const file = join(folder, 'next-port');
  const leased = new Set<number>();
  // Two platforms on one machine begin at different places: a port is free until its app listens.
  let next = Number(readSmallFile(file) ?? createHash('sha256').update(folder).digest().readUInt32BE()) % RANGE.count;
  return {
    lease: async () => {
      for (let tries = 0; tries < RANGE.count; tries++) {
        const port = RANGE.first + (next % RANGE.count);
        next = (next + 1) % RANGE.count;
        if (leased.has(port)) continue;
        leased.add(port);
        if (await isFree(port)) {
          writeSmallFile(file, String(next));
          return port;
        }
        leased.delete(port);
      }
      throw new SandboxError(`none of the ports ${RANGE.first} to ${RANGE.first + RANGE.count - 1} is free`);
    },
    take: port => void leased.add(port),
    release: port => void leased.delete(port),
  };
}

/** On all addresses: an app that listens on 0.0.0.0 needs them too. */
function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '0.0.0.0', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
