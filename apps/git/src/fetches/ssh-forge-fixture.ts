/** A forge over SSH in a test: one host key, one key that may read, and the machine's own `git upload-pack` behind it, on a port of loopback. */
import { join } from 'node:path';
import { makeSshKey } from '@cupola/certificates/ssh-key';
import ssh2 from 'ssh2';
import { ended, type Git } from '../git-process.ts';

export interface SshForge extends AsyncDisposable {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  /** In OpenSSH's form: one that may read from the beginning. */
  readonly privateKey: string;
  /** Lets another one read: a line of a deploy key. */
  trust(line: string): void;
  /** What was asked for by whom logged in. */
  readonly asked: string[];
}

/** `root` holds bare repositories: `team/shop.git`. */
export async function startSshForge(git: Git, root: string): Promise<SshForge> {
  const [hostKey, userKey] = [makeSshKey('host'), makeSshKey('user')];
  const wireOf = (line: string): Buffer => Buffer.from(line.split(' ')[1] ?? '', 'base64');
  const trusted = [wireOf(userKey.line)];
  const asked: string[] = [];
  const server = new ssh2.Server({ hostKeys: [hostKey.private] }, connection => {
    connection.on('error', () => undefined); // Who does not trust it hangs up.
    connection.on('authentication', context =>
      context.method === 'publickey' && trusted.some(wire => wire.equals(context.key.data))
        ? context.accept()
        : context.reject(['publickey']),
    );
    connection.on('session', accept =>
      accept().on('exec', (take, _reject, { command }) => {
        const channel = take();
        asked.push(command);
        const path = /^git-upload-pack '(.*)'$/.exec(command)?.[1] ?? '';
        const child = git.start(['upload-pack', join(root, path)]);
        channel.pipe(child.stdin);
        child.stdin.on('error', () => undefined);
        child.stdout.pipe(channel, { end: false });
        void ended(child).then(code => {
          channel.exit(code);
          channel.end();
        });
      }),
    );
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const open = server.address();
  return {
    host: `127.0.0.1:${typeof open === 'string' || open === null ? '' : open.port}`,
    privateKey: userKey.private,
    trust: line => trusted.push(wireOf(line)),
    asked,
    [Symbol.asyncDispose]: () => new Promise(resolve => server.close(() => resolve())),
  };
}
