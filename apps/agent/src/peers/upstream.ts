/**
 * Hands queries for names of others on to the host's name servers, byte for byte: those that a sandbox may ask itself. Needed since not every resolver asks
 * its next server when one says that a name is not its matter (Node's `dns.resolve`, Ruby's `Resolv`).
 */
import { createSocket, type Socket } from 'node:dgram';

export interface Server {
  address: string;
  port: number;
}

export interface Upstream {
  /** Null when nobody answers in time, or when that source waits for too many already. */
  ask(query: Buffer, source: string): Promise<Buffer | null>;
}

/** A client gives up then, by what its resolv.conf says, and asks those servers itself. */
const ANSWER_MS = 2_000;
/** A server that has not answered may do so still, but the next is asked too (ours). */
const NEXT_AFTER_MS = 500;
/** At the same time, for one sandbox and for all: each holds a socket or some (ours). */
const OPEN_OF_ONE_MAX = 100;
const OPEN_MAX = 1_000;

export function createUpstream(servers: readonly Server[]): Upstream {
  const open = new Map<string, number>();
  let openOfAll = 0;
  return {
    ask: async (query, source) => {
      const ofOne = open.get(source) ?? 0;
      if (ofOne >= OPEN_OF_ONE_MAX || openOfAll >= OPEN_MAX) return null;
      open.set(source, ofOne + 1);
      openOfAll += 1;
      try {
        return await askAll(servers, query);
      } finally {
        openOfAll -= 1;
        const left = (open.get(source) ?? 1) - 1;
        if (left === 0) open.delete(source);
        else open.set(source, left);
      }
    },
  };
}

/** One after the other, until the first that answers. */
async function askAll(servers: readonly Server[], query: Buffer): Promise<Buffer | null> {
  const replied = Promise.withResolvers<Buffer | null>();
  const sockets: Socket[] = [];
  const waiting = new Set(servers);
  let next: NodeJS.Timeout | undefined;
  const askNext = (): void => {
    clearTimeout(next);
    const server = servers[sockets.length];
    if (server === undefined) return;
    const failed = (): void => {
      waiting.delete(server);
      if (waiting.size === 0) replied.resolve(null);
      else askNext();
    };
    sockets.push(askOne(server, query, { replied: replied.resolve, failed }));
    next = setTimeout(askNext, NEXT_AFTER_MS);
  };
  const end = setTimeout(() => replied.resolve(null), ANSWER_MS);
  if (servers.length === 0) replied.resolve(null);
  askNext();
  try {
    return await replied.promise;
  } finally {
    clearTimeout(end);
    clearTimeout(next);
    for (const socket of sockets) socket.close();
  }
}

/** A socket of its own: its port is as hard to guess as a client's. */
function askOne(
  { address, port }: Server,
  query: Buffer,
  { replied, failed }: { replied(reply: Buffer): void; failed(): void },
): Socket {
  const socket = createSocket('udp4');
  socket.on('error', failed);
  socket.on('message', reply => {
    if (reply.length >= 2 && reply.readUInt16BE(0) === query.readUInt16BE(0)) replied(reply);
  });
  // From then on the kernel takes packets of that server alone.
  socket.connect(port, address, () => socket.send(query));
  return socket;
}
