/**
 * Connections by which routers know that this API answers. One that is frozen, or cut off, would keep what is asked of it for many minutes; so each router has
 * a connection here that carries a byte a second, which comes back, beside those that carry requests.
 */
import type https from 'node:https';
import type { TLSSocket } from 'node:tls';
import { API_LINK_NAME, callerOf } from '@cupola/certificates/members/dial';
import { CONNECTED } from '@cupola/certificates/members/forwarding';

/** Takes them out of what `server` would read as HTTP. Disposed, it ends them: who sees that asks another API. */
export function serveLinks(server: https.Server): Disposable {
  const links = new Set<TLSSocket>();
  const [serveHttp] = server.listeners('secureConnection') as Array<(this: https.Server, socket: TLSSocket) => void>;
  server.removeAllListeners('secureConnection');
  server.on('secureConnection', socket => {
    if (socket.servername !== API_LINK_NAME || callerOf(socket) === null) {
      serveHttp?.call(server, socket);
      return;
    }
    links.add(socket);
    socket.once('close', () => links.delete(socket));
    socket.on('error', () => undefined); // `close` follows.
    socket.write(Uint8Array.of(CONNECTED));
    socket.pipe(socket);
  });
  return {
    [Symbol.dispose]: () => {
      for (const link of links) link.destroy();
    },
  };
}
