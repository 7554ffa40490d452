/** The stream over a WebSocket. A module of its own, since it brings the library: a platform whose clients use server-sent events never loads it. */
import { STREAM_LIMITS } from '@cupola/model/limits';
import { WebSocketServer } from 'ws';
import type { ApiRequest } from '../http/endpoint.ts';
import type { Watcher } from './watcher.ts';

/** Clients have nothing to say but pings and the end. */
const MESSAGE_MAX_BYTES = 1_024;
/** RFC 6455: the server is going away; something unexpected has happened. */
const GOING_AWAY = 1_001;
const UNEXPECTED = 1_011;

export interface StreamSocket {
  sink: Pick<Watcher, 'send' | 'behindBytes' | 'end'>;
  /** Of a client that comes again. */
  fail(): void;
  /** At once when it is over already. */
  onClose(left: () => void): void;
}

/** Answers the handshake, and takes the connection over. */
export function openSocket({ request, response, upgradeHead }: ApiRequest['raw']): Promise<StreamSocket> {
  const { socket } = request;
  const server = new WebSocketServer({ noServer: true, maxPayload: MESSAGE_MAX_BYTES, perMessageDeflate: false });
  response.detachSocket(socket);
  response.statusCode = 101;
  return new Promise(resolve =>
    server.handleUpgrade(request, socket, upgradeHead ?? Buffer.alloc(0), ws => {
      const close = (code: number): void => {
        ws.close(code);
        const timer = setTimeout(() => ws.terminate(), STREAM_LIMITS.endMs);
        ws.once('close', () => clearTimeout(timer));
      };
      // What a client does wrong ends its connection, and is nobody else's matter.
      ws.on('error', () => ws.terminate());
      // For the log of requests.
      ws.once('close', () => response.emit('close'));
      resolve({
        sink: {
          send: bytes => ws.send(bytes, { binary: false }),
          behindBytes: () => ws.bufferedAmount,
          end: () => close(GOING_AWAY),
        },
        fail: () => close(UNEXPECTED),
        onClose: left => {
          if (ws.readyState === ws.CLOSED) left();
          ws.once('close', left);
        },
      });
    }),
  );
}
