/**
 * A request's body on its way to the app: read only while an attempt wants it, at the app's pace. An attempt that failed before the first byte leaves it
 * whole for the next.
 */
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import type { RouterSettings } from '../settings.ts';

export interface RequestBody {
  /** The body for one attempt; the stream of an earlier attempt is dead from then on. */
  open(): Readable;
  /** A byte of it has been passed on: no other attempt may begin. */
  readonly touched: boolean;
  readonly bytes: number;
  /** Nobody wants the rest: reads a little more, so that the client gets to see the answer, then cuts the connection. */
  leave(): void;
}

interface Watcher {
  /** The first read: a client that waits for `100 Continue` may send. */
  begins(): void;
  /** The client has sent nothing for too long. */
  stalls(): void;
  /** More than the limit came. */
  overflows(): void;
}

/** Of a request whose head says that none follows. */
export const NO_BODY: RequestBody = {
  open: () => Readable.from([]),
  touched: false,
  bytes: 0,
  leave: () => undefined, // Node has seen its end.
};

export function createRequestBody(request: IncomingMessage, settings: RouterSettings, watcher: Watcher): RequestBody {
  let current: Readable | null = null;
  let attached = false;
  let left = false;
  let bytes = 0;
  let leftBytes = 0;
  let timer: NodeJS.Timeout | null = null;

  const rest = (): void => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
  };
  const attend = (): void => {
    if (timer === null) timer = setTimeout(watcher.stalls, settings.uploadIdleMs);
    else timer.refresh();
  };
  const take = (chunk: Buffer): void => {
    if (left) {
      leftBytes += chunk.length;
      if (leftBytes > settings.lingerBytesMax) request.socket.destroy();
      return;
    }
    attend();
    bytes += chunk.length;
    if (settings.bodyMaxBytes !== null && bytes > settings.bodyMaxBytes) {
      rest();
      request.pause();
      watcher.overflows();
    } else if (current?.push(chunk) === false) {
      rest();
      request.pause();
    }
  };
  const attach = (): void => {
    attached = true;
    request.on('data', take);
    request.on('end', () => {
      rest();
      current?.push(null);
    });
    request.on('error', error => {
      rest();
      current?.destroy(error);
    });
  };
  return {
    open: () => {
      current?.destroy();
      const body = new Readable({
        read: () => {
          if (body !== current || left) return;
          attend();
          if (!attached) {
            watcher.begins();
            attach();
          }
          request.resume();
        },
        destroy: (error, done) => {
          if (body === current && !left) {
            rest();
            request.pause();
          }
          done(error);
        },
      });
      // Told to the attempt by its HTTP client; without a listener it would end the process.
      body.on('error', () => undefined);
      current = body;
      return body;
    },
    get touched() {
      return bytes > 0;
    },
    get bytes() {
      return bytes;
    },
    leave: () => {
      rest();
      if (request.complete && request.readableEnded) return;
      left = true;
      current?.destroy();
      if (!attached) attach();
      request.resume();
    },
  };
}
