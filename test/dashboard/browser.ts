/** Chromium that reaches ports of this machine's loopback, and hears nothing of its networks. */
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';

export interface OwnBrowser extends AsyncDisposable {
  readonly browser: Browser;
}

export async function startBrowser(ports: readonly number[]): Promise<OwnBrowser> {
  const sockets = mkdtempSync(join(tmpdir(), 'cupola-browser-'));
  const open = new Set<net.Socket>();
  const servers = ports.map(port =>
    net
      .createServer(inner => {
        const outer = net.connect(port, '127.0.0.1');
        for (const [one, other] of [
          [inner, outer],
          [outer, inner],
        ] as const) {
          open.add(one);
          one.on('error', () => other.destroy()).on('close', () => open.delete(one));
        }
        inner.pipe(outer).pipe(inner);
      })
      .listen(join(sockets, String(port))),
  );
  const browser = await chromium.launch({
    executablePath: join(import.meta.dirname, 'own-network.sh'),
    args: ['--no-sandbox'],
    env: { ...(process.env as Record<string, string>), NODE: process.execPath, SOCKETS: sockets, PORTS: ports.join() },
  });
  return {
    browser,
    [Symbol.asyncDispose]: async () => {
      await browser.close();
      for (const server of servers) server.close();
      for (const socket of open) socket.destroy();
      rmSync(sockets, { recursive: true, force: true });
    },
  };
}
