/**
 * A part that runs only while somebody wants it: at rest it is a socket that the supervisor listens on. The first connection starts the part; bytes go to and fro
 * unread; some minutes after the last connection the part is ended. So what few machines use costs the others no memory.
 */
import { chmodSync, chownSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { pipeline } from 'node:stream';
import type { Part } from './part.ts';

export interface OnDemand {
  readonly name: string;
  /** Null while it does not run. */
  readonly pid: number | null;
  readonly restarts: number;
  /** Of its doors, in their order; null: a socket. */
  readonly ports: ReadonlyArray<number | null>;
  /** Ends the part, if it runs; the next connection starts it anew. */
  rest(graceMs: number): Promise<void>;
  /** No more connections, and no part. */
  end(graceMs: number): Promise<void>;
}

/** Where those who want the part connect to, a socket that only its owner may open, or a port; and the part's own socket behind it, there once it is ready. */
export type Door = ({ path: string; uid: number | null } | { host: string; port: number }) & { socketPath: string };

interface Options {
  name: string;
  doors: readonly Door[];
  start(): Part;
  idleMs?: number;
}

/** Two pushes of a session of work fall into one life of the part (ours). */
const IDLE_MS = 120_000;
const START_MS = 20_000;
const GRACE_MS = 5_000;
const CONNECTIONS_MAX = 64;

/** @throws what listening throws: a port is taken, say. */
export async function startOnDemand({ name, doors, start, idleMs = IDLE_MS }: Options): Promise<OnDemand> {
  let part: Part | null = null;
  let idle: NodeJS.Timeout | null = null;
  let ending: Promise<void> = Promise.resolve();
  const open = new Set<Socket>();

  const rest = (graceMs: number): Promise<void> => {
    if (idle !== null) clearTimeout(idle);
    const old = part;
    part = null;
    if (old !== null) ending = Promise.all([ending, old.end(graceMs)]).then(() => undefined);
    return ending;
  };
  const serve = async (socket: Socket, socketPath: string): Promise<void> => {
    if (idle !== null) clearTimeout(idle);
    await ending;
    part ??= start();
    await Promise.race([part.ready(), late(START_MS)]);
    if (socket.destroyed) return;
    const inner = createConnection({ path: socketPath, allowHalfOpen: true });
    pipeline(socket, inner, () => undefined); // Each end of them ends both.
    pipeline(inner, socket, () => socket.destroy());
  };
  const openDoor = ({ socketPath }: Door): Server =>
    createServer({ allowHalfOpen: true }, socket => {
      open.add(socket);
      socket.on('error', () => undefined); // `close` follows.
      socket.once('close', () => {
        open.delete(socket);
        if (open.size === 0) idle = setTimeout(() => void rest(GRACE_MS), idleMs).unref();
      });
      serve(socket, socketPath).catch(() => socket.destroy());
    });
  const servers = doors.map(openDoor);
  try {
    for (const [index, server] of servers.entries()) await listen(server, doors[index] as Door);
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }
  return {
    name,
    get pid() {
      return part?.pid ?? null;
    },
    get restarts() {
      return part?.restarts ?? 0;
    },
    ports: servers.map(server => {
      const address = server.address();
      return typeof address === 'object' && address !== null ? address.port : null;
    }),
    rest,
    end: async graceMs => {
      for (const server of servers) server.close();
      for (const socket of open) socket.destroy();
      await rest(graceMs);
      for (const door of doors) if ('path' in door) rmSync(door.path, { force: true });
    },
  };
}

async function listen(server: Server, door: Door): Promise<void> {
  server.maxConnections = CONNECTIONS_MAX;
  if ('path' in door) rmSync(door.path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen('path' in door ? { path: door.path } : { host: door.host, port: door.port }, resolve);
  });
  server.unref();
  if (!('path' in door)) return;
  chmodSync(door.path, 0o600);
  if (door.uid !== null) chownSync(door.path, door.uid, door.uid);
}

function late(ms: number): Promise<never> {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`it did not start within ${ms} ms`)), ms).unref();
  });
}
