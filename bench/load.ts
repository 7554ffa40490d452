/**
 * A client that costs little beside what it measures: bytes over kept connections, one request at a time on each. (autocannon's own work for a request is
 * about that of the router, and here both share two cores.) Each answer must be 200 and as long as it should be.
 */
import net, { type Socket } from 'node:net';

const OK = 'HTTP/1.1 200';

export interface Target {
  port: number;
  /** Sent by turns. */
  requests: readonly Buffer[];
  /** Of each answer. */
  bodyBytes: number;
  connections: number;
}

interface Loaded {
  requests: number;
  failures: number;
  ms: number;
  /** Of each request, from when it was due; sorted. None where no rate was given. */
  latenciesMs: number[];
}

export function get(host: string, path = '/', headers: Readonly<Record<string, string>> = {}): Buffer {
  const lines = Object.entries({ Host: host, 'User-Agent': 'bench', ...headers }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  return Buffer.from(`GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
}

interface Connection {
  readonly socket: Socket;
  /** When its present request was due. */
  dueMs: number;
}

/** Calls `answered` at the end of each answer; `isRight` says whether it was what it should be. */
function connect(
  { port, bodyBytes }: Target,
  answered: (connection: Connection, isRight: boolean) => void,
): Promise<Connection> {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
  const connection: Connection = { socket, dueMs: 0 };
  let got = 0;
  let wanted = 0;
  let isRight = true;
  socket.on('data', chunk => {
    if (wanted === 0) {
      const headEnd = chunk.indexOf('\r\n\r\n') + 4;
      isRight = headEnd > 3 && chunk.toString('latin1', 0, OK.length) === OK;
      wanted = headEnd + bodyBytes;
    }
    got += chunk.length;
    if (got < wanted) return;
    const isWhole = isRight && got === wanted;
    got = 0;
    wanted = 0;
    answered(connection, isWhole);
  });
  return new Promise((resolve, reject) => {
    socket.once('connect', () => resolve(connection));
    socket.once('error', reject);
  });
}

/** Every connection asks again as soon as it has been answered. */
export async function saturate(target: Target, forMs: number): Promise<Loaded> {
  let requests = 0;
  let failures = 0;
  let turn = 0;
  const next = (): Buffer => target.requests[turn++ % target.requests.length] as Buffer;
  const startedMs = performance.now();
  const endMs = startedMs + forMs;
  const oneByOne = async (): Promise<void> => {
    const { socket } = await connect(target, (connection, isRight) => {
      requests++;
      if (!isRight) failures++;
      if (performance.now() < endMs) connection.socket.write(next());
      else connection.socket.end();
    });
    const closed = new Promise<void>(resolve => socket.once('close', () => resolve()));
    socket.on('error', () => failures++);
    socket.write(next());
    await closed;
  };
  await Promise.all(Array.from({ length: target.connections }, oneByOne));
  return { requests, failures, ms: performance.now() - startedMs, latenciesMs: [] };
}

/** So many requests a second, whatever becomes of those before: one that finds no free connection waits, and its wait counts. */
export async function pace(target: Target, perSecond: number, forMs: number): Promise<Loaded> {
  const latenciesMs: number[] = [];
  let failures = 0;
  let begun = 0;
  const waiting: number[] = [];
  const free: Connection[] = [];
  const begin = (connection: Connection, dueMs: number): void => {
    connection.dueMs = dueMs;
    connection.socket.write(target.requests[begun++ % target.requests.length] as Buffer);
  };
  const open = async (): Promise<Connection> => {
    const connection = await connect(target, (answered, isRight) => {
      latenciesMs.push(performance.now() - answered.dueMs);
      if (!isRight) failures++;
      const next = waiting.shift();
      if (next === undefined) free.push(answered);
      else begin(answered, next);
    });
    connection.socket.on('error', () => failures++);
    return connection;
  };
  const connections = await Promise.all(Array.from({ length: target.connections }, open));
  free.push(...connections);
  const startedMs = performance.now();
  let due = 0;
  await new Promise<void>(resolve => {
    const tick = setInterval(() => {
      const nowMs = performance.now();
      const until = (Math.min(nowMs - startedMs, forMs) * perSecond) / 1_000;
      for (; due < until; due++) {
        const connection = free.shift();
        if (connection === undefined) waiting.push(nowMs);
        else begin(connection, nowMs);
      }
      const isOver = nowMs > startedMs + forMs && latenciesMs.length >= due;
      if (!isOver && failures === 0) return;
      clearInterval(tick);
      resolve();
    }, 1);
  });
  for (const { socket } of connections) socket.destroy();
  const ms = performance.now() - startedMs;
  return { requests: latenciesMs.length, failures, ms, latenciesMs: latenciesMs.sort((a, b) => a - b) };
}

/** @throws when an answer was not what it should be: a fast wrong answer is none. */
export function right(who: string, loaded: Loaded): Loaded {
  if (loaded.failures > 0 || loaded.requests === 0)
    throw new Error(`${who}: ${loaded.failures} of ${loaded.requests} answers were wrong or none`);
  return loaded;
}

export const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
