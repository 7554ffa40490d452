/**
 * Log lines of one app on their way to one syslog server. Never waits for it: messages queue up to a bound, beyond it the newest are counted and dropped,
 * and both a failure and a loss are said once they are known. A lost connection is dialled again after 1, 2, 4 ... 60 s, for as long as the drain is bound.
 */
import { createSocket } from 'node:dgram';
import { type BlockList, connect as connectTcp, isIPv6, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { framed } from './syslog.ts';
import { resolveTarget, type Target } from './target.ts';

export interface Drain extends AsyncDisposable {
  /** Queues a message; drops it when the queue is full. */
  send(message: string): void;
  /** Messages that were dropped since the queue was full. */
  readonly lost: number;
}

interface Options {
  target: Target;
  /** Addresses that are allowed though not public. */
  allowed: BlockList;
  /** PEM of CAs beside the well-known ones, for tests and for servers of one's own. */
  ca?: string;
  /** A sentence for the app's log. */
  say(text: string): void;
}

/** CF's drains hold as many. */
const QUEUE_MAX = 10_000;
/** As many messages are joined to one write. */
const WRITE_MAX = 500;
const BACKOFF_FIRST_MS = 1_000;
const BACKOFF_MAX_MS = 60_000;
const DIAL_MS = 5_000;
/** At the end, what is queued on a living connection is still sent for so long. */
const LAST_WRITE_MS = 1_000;
/** Largest that every path carries; a longer one is cut (RFC 5426 section 3.2 asks receivers for 2,048). */
const DATAGRAM_MAX = 2_048;

/** Something that takes messages. */
interface Pipe {
  /** Resolves when more may come; rejects when the pipe is broken. */
  write(messages: readonly string[]): Promise<void>;
  /** After what was written. */
  end(): void;
  /** At once. */
  cut(): void;
}

export function openDrain({ target, allowed, ca, say }: Options): Drain {
  let queue: string[] = [];
  let lost = 0;
  let lostSaid = 0;
  let failures = 0;
  let running: Promise<void> | null = null;
  let pipe: Pipe | null = null;
  const ended = new AbortController();

  const deliver = async (): Promise<void> => {
    while (queue.length > 0 && !ended.signal.aborted) {
      try {
        pipe ??= await dial({ target, allowed, ca }, () => {
          pipe = null;
        });
        if (ended.signal.aborted) return pipe.cut();
        const batch = queue.slice(0, WRITE_MAX);
        await pipe.write(batch);
        queue = queue.slice(batch.length);
        if (failures > 0 || lost > lostSaid) sayBack();
        failures = 0;
      } catch (error) {
        pipe?.cut();
        pipe = null;
        if (ended.signal.aborted) return;
        if (failures === 0)
          say(`log lines wait: the syslog drain at ${named(target)} fails, ${(error as Error).message}`);
        await pause(Math.min(BACKOFF_FIRST_MS * 2 ** failures, BACKOFF_MAX_MS), ended.signal);
        failures++;
      }
    }
  };
  const sayBack = (): void => {
    const many = lost - lostSaid;
    lostSaid = lost;
    say(
      `the syslog drain at ${named(target)} takes log lines${failures > 0 ? ' again' : ''}; ${many === 0 ? 'none were' : `${many} ${many === 1 ? 'was' : 'were'}`} lost`,
    );
  };
  const wake = (): void => {
    running ??= deliver().finally(() => {
      running = null;
      if (queue.length > 0 && !ended.signal.aborted) wake();
    });
  };
  return {
    send: message => {
      if (ended.signal.aborted || queue.length >= QUEUE_MAX) {
        if (lost === lostSaid) say(`the syslog drain at ${named(target)} is too slow: log lines to it are dropped`);
        lost++;
        return;
      }
      queue.push(message);
      wake();
    },
    get lost() {
      return lost;
    },
    [Symbol.asyncDispose]: async () => {
      if (pipe !== null && running !== null) await Promise.race([running, pause(LAST_WRITE_MS, ended.signal)]);
      ended.abort();
      if (running === null) pipe?.end();
      else pipe?.cut();
    },
  };
}

function named({ kind, host, port }: Target): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port} (${kind})`;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

type Dial = Pick<Options, 'target' | 'allowed'> & { ca: string | undefined };

async function dial({ target, allowed, ca }: Dial, broken: () => void): Promise<Pipe> {
  const address = await resolveTarget(target, allowed);
  if (target.kind === 'udp') return udpPipe(address, target.port);
  const where = { host: address, port: target.port };
  const server = isIPv6(target.host) || /^[\d.]+$/.test(target.host) ? {} : { servername: target.host };
  const socket =
    target.kind === 'tcp'
      ? connectTcp(where)
      : connectTls({ ...where, ...server, ...(ca === undefined ? {} : { ca }), minVersion: 'TLSv1.2' });
  await connected(socket, target.kind === 'tcp' ? 'connect' : 'secureConnect');
  socket.on('error', () => undefined); // `close` says so.
  socket.on('close', broken);
  socket.resume(); // Nothing comes back in syslog; what does is not kept.
  return {
    write: messages => written(socket, Buffer.concat(messages.map(framed))),
    end: () => socket.end(),
    cut: () => socket.destroy(),
  };
}

function connected(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => socket.destroy(new Error('it does not answer')), DIAL_MS);
    socket.once(event, () => {
      clearTimeout(timer);
      socket.off('error', refused);
      resolve();
    });
    socket.once('error', refused);
    function refused(error: NodeJS.ErrnoException): void {
      clearTimeout(timer);
      reject(error.code === 'ECONNREFUSED' ? new Error('it refuses connections') : error);
    }
  });
}

function written(socket: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    if (socket.destroyed || !socket.writable) return reject(new Error('the connection was closed'));
    const gone = (): void => reject(new Error('the connection was closed'));
    socket.once('close', gone);
    socket.write(bytes, error => {
      socket.off('close', gone);
      if (error) reject(error);
      else resolve();
    });
  });
}

/** Sends and forgets, as UDP does; only what the own system refuses is a failure. */
function udpPipe(address: string, port: number): Pipe {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4');
  socket.on('error', () => undefined); // Told by the send that failed.
  socket.unref();
  const send = (message: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const bytes = Buffer.from(message.replace(/\n$/, ''), 'utf8').subarray(0, DATAGRAM_MAX);
      socket.send(bytes, port, address, error => (error ? reject(error) : resolve()));
    });
  return {
    write: async messages => {
      for (const message of messages) await send(message);
    },
    end: () => socket.close(),
    cut: () => socket.close(),
  };
}
