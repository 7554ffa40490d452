/** For tests: a way to a PostgreSQL server that can be cut, or stop carrying, at a chosen message. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const SOCKET = '.s.PGSQL.5432';

/** What becomes of a piece of what the client sends: carried, never carried (nor anything after it), the way cut before it, or cut once it was carried. */
type Fate = 'carry' | 'freeze' | 'cut before' | 'cut after';

export interface PostgresProxy extends AsyncDisposable {
  /** In the place of the server's folder. */
  folder: string;
  /** Judges each piece that the client sends, as text. */
  judge: (sent: string) => Fate;
}

export async function proxyTo(serverFolder: string): Promise<PostgresProxy> {
  const folder = mkdtempSync(join(tmpdir(), 'cupola-postgres-proxy-'));
  const sockets = new Set<Socket>();
  const proxy: PostgresProxy = {
    folder,
    judge: () => 'carry',
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise(resolve => listener.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
  const listener = createServer(client => {
    const server = createConnection(join(serverFolder, SOCKET));
    let isFrozen = false;
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => {
        sockets.delete(socket);
        // A frozen way tells neither side that the other is gone.
        if (!isFrozen) other.destroy();
      });
    }
    server.on('data', piece => {
      if (!isFrozen) client.write(piece);
    });
    client.on('data', piece => {
      const fate = isFrozen ? 'freeze' : proxy.judge(piece.toString('latin1'));
      if (fate === 'freeze') isFrozen = true;
      if (fate === 'cut before') client.destroy();
      if (fate === 'carry') server.write(piece);
      if (fate === 'cut after') {
        client.destroy();
        server.end(piece);
      }
    });
  });
  await new Promise<void>(resolve => listener.listen(join(folder, SOCKET), resolve));
  return proxy;
}
