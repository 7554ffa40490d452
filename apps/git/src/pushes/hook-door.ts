/** Where our hook calls in: a unix socket on which each push is known by a secret of its own, which git's processes get in their environment. */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';

const commit = z
  .string()
  .regex(/^[0-9a-f]{40,64}$/)
  .nullable();
const asked = z.object({
  id: z.string(),
  updates: z.array(z.object({ ref: z.string(), before: commit, after: commit })),
  environment: z.record(z.string(), z.string()),
});

/** What git has received, and not taken yet. */
export interface Received {
  updates: z.infer<typeof asked>['updates'];
  /** Where the received objects lie, for git. */
  environment: Record<string, string>;
  /** A line for the user. */
  say(line: string): void;
  /** Aborted when the push has gone: the user has interrupted it, or lost the connection. */
  signal: AbortSignal;
}

export interface HookDoor extends AsyncDisposable {
  /** What the hook of one push is given, by environment. `receive` resolves whether git may take the push. */
  expect(receive: (received: Received) => Promise<boolean>): { environment: Record<string, string>; forget(): void };
}

export async function openHookDoor(folder: string, hook: string): Promise<HookDoor> {
  const path = join(folder, 'hook.sock');
  const expected = new Map<string, (received: Received) => Promise<boolean>>();
  rmSync(path, { force: true });
  const sockets = new Set<Socket>();
  const server = createServer(socket => {
    sockets.add(socket);
    const gone = new AbortController();
    socket.on('error', () => undefined); // `close` follows.
    socket.once('close', () => {
      sockets.delete(socket);
      gone.abort(new Error('the push was interrupted'));
    });
    const tell = (what: { say: string } | { exit: number }): void => {
      if (socket.writable) socket.write(`${JSON.stringify(what)}\n`);
    };
    createInterface({ input: socket }).once('line', line => {
      void (async () => {
        const { id, updates, environment } = asked.parse(JSON.parse(line));
        const receive = expected.get(id);
        if (receive === undefined) throw new Error('a hook of no push has called');
        expected.delete(id);
        return receive({ updates, environment, say: text => tell({ say: text }), signal: gone.signal });
      })()
        .catch(() => false)
        .then(isTaken => tell({ exit: isTaken ? 0 : 1 }));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  return {
    expect: receive => {
      const id = randomBytes(16).toString('hex');
      expected.set(id, receive);
      return {
        environment: {
          CUPOLA_HOOK: hook,
          CUPOLA_HOOK_NODE: process.execPath,
          CUPOLA_HOOK_SOCKET: path,
          CUPOLA_HOOK_PUSH: id,
        },
        forget: () => expected.delete(id),
      };
    },
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise<void>(resolve => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
