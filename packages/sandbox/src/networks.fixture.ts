/** Real namespaces and packets, for tests of what networks let through. */
import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { tempFolder } from './fixtures.ts';
import { type NetworkOptions, type Networks, openNetworks } from './networks.ts';

const run = promisify(execFile);
const silent = { info: () => undefined, warn: () => undefined };
export const PROHIBITED = 'No route to host';

export interface Opened extends AsyncDisposable {
  networks: Networks;
  options: NetworkOptions;
}

export async function open(overrides: Partial<NetworkOptions> = {}): Promise<Opened> {
  const stack = new AsyncDisposableStack();
  const { path: folder } = stack.use(tempFolder());
  const options = { folder, installation: `test-${randomUUID()}`, ahead: 0, buildHoles: [], log: silent, ...overrides };
  const networks = orThrow(await openNetworks(options));
  stack.defer(() => networks.close({ remove: true }));
  return { networks, options, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
export function orThrow(networks: Networks | null): Networks {
  if (networks === null) throw new Error('no networks here');
  return networks;
}

/** As long as an answer may take on a busy machine; where none comes, a test says how long it waits for it. */
const ANSWER_S = 30;

/** Connects from within a namespace: what it was told, or why it could not. */
export async function dialFrom(
  namespace: string,
  address: string,
  port: number,
  waitS: number = ANSWER_S,
): Promise<string> {
  const dial = `exec 3<>/dev/tcp/${address}/${port} && cat <&3`;
  try {
    return (await run('ip', ['netns', 'exec', namespace, 'timeout', String(waitS), 'bash', '-c', dial])).stdout;
  } catch (error) {
    return /: ([^:]+)$/.exec((error as { stderr: string }).stderr.trim().split('\n')[0] ?? '')?.[1] ?? 'timed out';
  }
}

/** Sends one datagram from within a namespace: what came back, or why nothing does. */
export async function datagramFrom(
  namespace: string,
  address: string,
  port: number,
  waitS: number = ANSWER_S,
): Promise<string> {
  const send = `use IO::Socket::INET; my $got; my $s = IO::Socket::INET->new(Proto => 'udp', PeerAddr => '${address}', PeerPort => ${port}) or die;
    $s->send('x'); $SIG{ALRM} = sub { print 'timed out'; exit }; alarm ${waitS}; defined $s->recv($got, 100) ? print $got : print $!`;
  return (await run('ip', ['netns', 'exec', namespace, 'perl', '-e', send])).stdout;
}

/** Listens within a namespace, telling each who it is seen as. */
export async function listenIn(namespace: string, port: number): Promise<AsyncDisposable> {
  const serve = `use IO::Socket::INET; $| = 1;
    my $l = IO::Socket::INET->new(LocalAddr => '0.0.0.0', LocalPort => ${port}, Listen => 5, ReuseAddr => 1) or die; print "ready\\n";
    while (my $c = $l->accept) { print $c "you are " . $c->peerhost; close $c }`;
  const child = spawn('ip', ['netns', 'exec', namespace, 'perl', '-e', serve], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return {
    [Symbol.asyncDispose]: async () => {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

export async function dialFromHost(address: string, port: number): Promise<string> {
  return await text(connect({ host: address, port, timeout: ANSWER_S * 1_000 }));
}

/** What stands for the internet: a namespace on the host's other side, with an address that counts as public, or one in a subnet given. */
export async function anOutside(subnet = '198.51.100'): Promise<AsyncDisposable & { name: string; address: string }> {
  const name = `test-${randomUUID().slice(0, 8)}`;
  const link = `t${randomUUID().slice(0, 8)}`;
  await run('ip', ['netns', 'add', name]);
  await run('ip', ['link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name]);
  await run('ip', ['addr', 'add', `${subnet}.1/30`, 'dev', link]);
  await run('ip', ['link', 'set', link, 'up']);
  await run('ip', ['-n', name, 'addr', 'add', `${subnet}.2/30`, 'dev', 'eth0']);
  await run('ip', ['-n', name, 'link', 'set', 'eth0', 'up']);
  return {
    name,
    address: `${subnet}.2`,
    [Symbol.asyncDispose]: async () => {
      await run('ip', ['link', 'del', link]);
      await run('ip', ['netns', 'del', name]);
    },
  };
}

/** A service of the host on every address it has. */
export async function hostService(): Promise<AsyncDisposable & { port: number }> {
  const server: Server = createServer(socket => socket.end('from the host'));
  await new Promise<void>(resolve => server.listen(0, '0.0.0.0', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => void (await promisify(server.close.bind(server))()),
  };
}
