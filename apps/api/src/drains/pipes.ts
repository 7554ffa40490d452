/** The ways to a syslog server: TCP, TLS, UDP, and HTTPS as CF has it. */
import { createSocket } from 'node:dgram';
import { Agent, request } from 'node:https';
import { type BlockList, connect as connectTcp, isIP, isIPv6, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { framed } from './syslog.ts';
import { type HttpTarget, resolveTarget, type Target } from './target.ts';

const DIAL_MS = 5_000;
/** CF's drains wait as long. */
const ANSWER_MS = 20_000;
/** As many messages are joined to one write. */
const MESSAGES_MAX = 500;
/** Largest that every path carries; a longer one is cut (RFC 5426 section 3.2 asks receivers for 2,048). */
const DATAGRAM_MAX = 2_048;

/** Something that takes messages. */
export interface Pipe {
  /** How many one write takes. */
  readonly messagesMax: number;
  /** Resolves when more may come; rejects when the pipe is broken, with RefusedMessageError when only these messages are not wanted. */
  write(messages: readonly string[]): Promise<void>;
  /** After what was written. */
  end(): void;
  /** At once. */
  cut(): void;
}

/** The server answers, and will not take these messages at another try either. */
export class RefusedMessageError extends Error {
  override readonly name = 'RefusedMessageError';
}

export interface Dial {
  target: Target;
  /** Addresses that are allowed though not public. */
  allowed: BlockList;
  /** PEM of a CA beside the well-known ones. */
  ca: string | undefined;
}

/** Connects, and rejects with words for the app's log. `broken` is called when the pipe cannot be written to any more. */
export async function dial({ target, allowed, ca }: Dial, broken: () => void): Promise<Pipe> {
  const address = await resolveTarget(target, allowed);
  if (target.kind === 'udp') return udpPipe(address, target.port);
  if (target.kind === 'https' || target.kind === 'https-batch') return httpsPipe(target, address, ca);
  const where = { host: address, port: target.port };
  const server = serverName(target.host);
  const socket =
    target.kind === 'tcp'
      ? connectTcp(where)
      : connectTls({ ...where, ...server, ...(ca === undefined ? {} : { ca }), minVersion: 'TLSv1.2' });
  await connected(socket, target.kind === 'tcp' ? 'connect' : 'secureConnect');
  socket.on('error', () => undefined); // `close` says so.
  socket.on('close', broken);
  socket.resume(); // Nothing comes back in syslog; what does is not kept.
  return {
    messagesMax: MESSAGES_MAX,
    write: messages => written(socket, Buffer.concat(messages.map(framed))),
    end: () => socket.end(),
    cut: () => socket.destroy(),
  };
}

/** What TLS asks for by name; an address has none. */
function serverName(host: string): { servername?: string } {
  return isIP(host) === 0 ? { servername: host } : {};
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
    messagesMax: MESSAGES_MAX,
    write: async messages => {
      for (const message of messages) await send(message);
    },
    end: () => socket.close(),
    cut: () => socket.close(),
  };
}

/**
 * As CF's HTTPS drains (loggregator-agent-release, pkg/egress/syslog/https.go and https_batch.go): a POST of text/plain with one message, or with many one
 * after another. Any 2xx will do. What a server says no to for good is dropped, as it would be refused again.
 */
function httpsPipe(target: HttpTarget, address: string, ca: string | undefined): Pipe {
  const agent = new Agent({
    keepAlive: true,
    maxSockets: 1,
    minVersion: 'TLSv1.2',
    ...(ca === undefined ? {} : { ca }),
  });
  const post = (body: Buffer): Promise<void> =>
    new Promise((resolve, reject) => {
      const sent = request({
        agent,
        method: 'POST',
        host: address,
        port: target.port,
        path: target.path,
        ...serverName(target.host),
        headers: {
          host: target.port === 443 ? target.host : `${target.host}:${target.port}`,
          'content-type': 'text/plain',
          'content-length': body.length,
          ...(target.authorization === null ? {} : { authorization: target.authorization }),
        },
        timeout: ANSWER_MS,
      });
      sent.on('timeout', () => sent.destroy(new Error('it does not answer')));
      sent.on('error', (error: NodeJS.ErrnoException) =>
        reject(error.code === 'ECONNREFUSED' ? new Error('it refuses connections') : error),
      );
      sent.on('response', response => {
        response.resume(); // What it says besides its status is not kept.
        response.on('error', reject);
        response.on('end', () => {
          const status = response.statusCode ?? 0;
          if (status >= 200 && status < 300) resolve();
          else reject(new (isFinal(status) ? RefusedMessageError : Error)(`it answers ${status}`));
        });
      });
      sent.end(body);
    });
  return {
    messagesMax: target.kind === 'https' ? 1 : MESSAGES_MAX,
    write: messages => post(Buffer.from(messages.join(''), 'utf8')),
    end: () => agent.destroy(),
    cut: () => agent.destroy(),
  };
}

/** A time-out and "too many requests" pass; the other faults that a server finds in a request stay. */
function isFinal(status: number): boolean {
  return status >= 300 && status < 500 && status !== 408 && status !== 429;
}
