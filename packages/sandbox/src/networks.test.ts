/** Real namespaces, rules and packets: as root, with iproute2 and nftables. */
import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { tempFolder } from './fixtures.ts';
import { networksMissing } from './network-tools.ts';
import { type NetworkOptions, type Networks, openNetworks } from './networks.ts';
import { SandboxError } from './sandbox.ts';

const run = promisify(execFile);
const silent = { info: () => undefined, warn: () => undefined };
const PROHIBITED = 'No route to host';

interface Opened extends AsyncDisposable {
  networks: Networks;
  options: NetworkOptions;
}

async function open(overrides: Partial<NetworkOptions> = {}): Promise<Opened> {
  const stack = new AsyncDisposableStack();
  const { path: folder } = stack.use(tempFolder());
  const options = { folder, installation: `test-${randomUUID()}`, ahead: 0, buildHoles: [], log: silent, ...overrides };
  const networks = orThrow(await openNetworks(options));
  stack.defer(() => networks.close({ remove: true }));
  return { networks, options, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
function orThrow(networks: Networks | null): Networks {
  if (networks === null) throw new Error('no networks here');
  return networks;
}

/** Connects from within a namespace: what it was told, or why it could not. */
async function dialFrom(namespace: string, address: string, port: number): Promise<string> {
  const dial = `exec 3<>/dev/tcp/${address}/${port} && cat <&3`;
  try {
    return (await run('ip', ['netns', 'exec', namespace, 'timeout', '5', 'bash', '-c', dial])).stdout;
  } catch (error) {
    return /: ([^:]+)$/.exec((error as { stderr: string }).stderr.trim().split('\n')[0] ?? '')?.[1] ?? 'timed out';
  }
}

/** Listens within a namespace, telling each who it is seen as. */
async function listenIn(namespace: string, port: number): Promise<AsyncDisposable> {
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

async function dialFromHost(address: string, port: number): Promise<string> {
  return await text(connect({ host: address, port, timeout: 5_000 }));
}

/** A service of the host on every address it has. */
async function hostService(): Promise<AsyncDisposable & { port: number }> {
  const server: Server = createServer(socket => socket.end('from the host'));
  await new Promise<void>(resolve => server.listen(0, '0.0.0.0', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => void (await promisify(server.close.bind(server))()),
  };
}
/** Without those that come and go with other platforms' sandboxes. */
const hostAddresses = (): string[] =>
  Object.entries(networkInterfaces())
    .flatMap(([name, addresses]) => (/^(cu|t)[0-9a-f]/.test(name) ? [] : (addresses ?? [])))
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .map(({ address }) => address);

/** What stands for the internet: a namespace on the host's other side, with an address that counts as public. */
async function internet(): Promise<AsyncDisposable & { name: string; address: string }> {
  const name = `test-${randomUUID().slice(0, 8)}`;
  const link = `t${randomUUID().slice(0, 8)}`;
  await run('ip', ['netns', 'add', name]);
  await run('ip', ['link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name]);
  await run('ip', ['addr', 'add', '198.51.100.1/30', 'dev', link]);
  await run('ip', ['link', 'set', link, 'up']);
  await run('ip', ['-n', name, 'addr', 'add', '198.51.100.2/30', 'dev', 'eth0']);
  await run('ip', ['-n', name, 'link', 'set', 'eth0', 'up']);
  return {
    name,
    address: '198.51.100.2',
    [Symbol.asyncDispose]: async () => {
      await run('ip', ['link', 'del', link]);
      await run('ip', ['netns', 'del', name]);
    },
  };
}

/** What our networks leave on a machine. */
async function traces({ installation }: NetworkOptions, block: string): Promise<string[]> {
  const { namesOf } = await import('./network-place.ts');
  const names = namesOf(installation);
  const tables = (await run('nft', ['list', 'tables'])).stdout;
  const routes = (await run('ip', ['route'])).stdout;
  return [
    ...namespaces().filter(name => name.startsWith(names.namespace)),
    ...readdirSync('/sys/class/net').filter(name => name.startsWith(names.link)),
    ...tables.split('\n').filter(line => line.endsWith(` ${names.table}`)),
    ...routes.split('\n').filter(line => line.includes(block)),
  ];
}
function namespaces(): string[] {
  try {
    return readdirSync('/run/netns');
  } catch {
    return [];
  }
}
const blockOf = ({ folder }: NetworkOptions): string =>
  (JSON.parse(readFileSync(join(folder, 'networks.json'), 'utf8')) as { block: string }).block;

describe.runIf(networksMissing() === null)('Networks', () => {
  test('the host reaches what listens inside', async () => {
    await using opened = await open();
    const { name, address } = await opened.networks.lease();
    await using _ = await listenIn(name, 8080);
    expect(await dialFromHost(address, 8080)).toMatch(/^you are 10\.254\./);
  });

  test('an app reaches the internet, where it is seen as the host', async () => {
    await using opened = await open();
    await using outside = await internet();
    await using _ = await listenIn(outside.name, 80);
    const { name } = await opened.networks.lease();
    expect(await dialFrom(name, outside.address, 80)).toBe('you are 198.51.100.1');
  });

  test('the internet does not reach an app', async () => {
    await using opened = await open();
    await using outside = await internet();
    const { name, address } = await opened.networks.lease();
    await using _ = await listenIn(name, 8080);
    await run('ip', ['-n', outside.name, 'route', 'add', 'default', 'via', '198.51.100.1']);
    expect(await dialFrom(outside.name, address, 8080)).toBe(PROHIBITED);
  });

  test('an app reaches a service of the host by none of its addresses', async () => {
    await using opened = await open();
    await using service = await hostService();
    const { name, address } = await opened.networks.lease();
    const gateway = address.replace(/\d+$/, last => String(Number(last) - 1));
    const addresses = [gateway, ...hostAddresses()];
    const told = await Promise.all(addresses.map(to => dialFrom(name, to, service.port)));
    expect(told).toEqual(addresses.map(() => PROHIBITED));
    expect(await dialFromHost(gateway, service.port)).toBe('from the host');
  });

  test('an app does not reach its neighbour', async () => {
    await using opened = await open();
    const [one, two] = [await opened.networks.lease(), await opened.networks.lease()];
    await using _ = await listenIn(two.name, 8080);
    expect(await dialFrom(one.name, two.address, 8080)).toBe(PROHIBITED);
    expect(await dialFromHost(two.address, 8080)).toContain('you are');
  });

  test.each(['169.254.169.254', '10.0.0.1', '192.168.1.1', '172.17.0.1', '100.64.0.1'])(
    'an app is refused at once by %s',
    async address => {
      await using opened = await open();
      const { name } = await opened.networks.lease();
      expect(await dialFrom(name, address, 80)).toBe(PROHIBITED);
    },
  );

  test('no address of another family leads around the rules', async () => {
    await using opened = await open();
    const { name } = await opened.networks.lease();
    const shown = (await run('ip', ['-n', name, '-6', 'addr', 'show', 'dev', 'eth0'])).stdout;
    expect(shown).toBe('');
  });

  test('a hole lets through to that port and no other', async () => {
    await using service = await hostService();
    await using other = await hostService();
    const [cidr = ''] = hostAddresses();
    await using opened = await open({ holes: [{ cidr, port: service.port }] });
    const { name } = await opened.networks.lease();
    expect(await dialFrom(name, cidr, service.port)).toBe('from the host');
    expect(await dialFrom(name, cidr, other.port)).toBe(PROHIBITED);
  });

  test('leaseForBuild() reaches what builds alone may reach', async () => {
    await using service = await hostService();
    const [cidr = ''] = hostAddresses();
    await using opened = await open({ buildHoles: [{ cidr, port: service.port }] });
    const [app, build] = [await opened.networks.lease(), await opened.networks.leaseForBuild()];
    expect(await dialFrom(app.name, cidr, service.port)).toBe(PROHIBITED);
    expect(await dialFrom(build.name, cidr, service.port)).toBe('from the host');
    await opened.networks.close({ remove: false });
    await openNetworks(opened.options);
    expect(await dialFrom(build.name, cidr, service.port)).toBe('from the host');
  });

  test('two platforms on one machine share nothing', async () => {
    await using first = await open();
    const second = await open();
    const [one, two] = [await first.networks.lease(), await second.networks.lease()];
    await using _ = await listenIn(one.name, 8080);
    expect(blockOf(first.options)).not.toBe(blockOf(second.options));
    expect(await dialFrom(two.name, one.address, 8080)).toBe(PROHIBITED);
    await second[Symbol.asyncDispose]();
    expect(await dialFrom(one.name, '169.254.169.254', 80)).toBe(PROHIBITED);
    expect(await dialFromHost(one.address, 8080)).toContain('you are');
  });

  test('the next process finds what is leased, and what runs in it goes on', async () => {
    await using opened = await open({ ahead: 2 });
    const leased = await opened.networks.lease();
    await using _ = await listenIn(leased.name, 8080);
    await opened.networks.close({ remove: false });
    const next = orThrow(await openNetworks(opened.options));
    expect(next.known()).toEqual([leased]);
    expect(await next.lease(leased.name)).toEqual(leased);
    expect((await next.lease()).name).not.toBe(leased.name);
    expect(await dialFromHost(leased.address, 8080)).toContain('you are');
    await next.close({ remove: false });
  });

  test('lease() of a name that nobody has throws SandboxError', async () => {
    await using opened = await open();
    await expect(opened.networks.lease('cupola-gone-1')).rejects.toThrow(SandboxError);
  });

  test('release() lets an address rest for a minute', async () => {
    let nowMs = 1_000_000;
    await using opened = await open({ cidr: '10.253.7.0/28', now: () => nowMs });
    const addresses: string[] = [];
    const { networks } = opened;
    for (const _ of [1, 2, 3, 4]) {
      const { name, address } = await networks.lease();
      addresses.push(address);
      await networks.release(name);
      await networks.release(name);
    }
    expect(new Set(addresses).size).toBe(4);
    await expect(networks.lease()).rejects.toThrow(/rests for a minute/);
    nowMs += 60_000;
    expect((await networks.lease()).address).toBe(addresses[0]);
  });

  test('a reboot is noticed: nothing is leased then', async () => {
    await using opened = await open();
    await opened.networks.lease();
    await opened.networks.close({ remove: true });
    const file = join(opened.options.folder, 'networks.json');
    writeFileSync(
      file,
      JSON.stringify({ boot: 'before', block: '10.254.0.0/20', leases: [{ slot: 7, isBuild: false }], released: [] }),
    );
    const after = orThrow(await openNetworks(opened.options));
    expect(after.known()).toEqual([]);
    await after.close({ remove: false });
  });

  test('close() with remove leaves nothing on the machine', async () => {
    await using opened = await open({ ahead: 3 });
    await opened.networks.lease();
    const block = blockOf(opened.options);
    expect((await traces(opened.options, block)).length).toBeGreaterThan(3);
    await opened.networks.close({ remove: true });
    expect(await traces(opened.options, block)).toEqual([]);
  });

  test('openNetworks() refuses a hole that is no network, before it changes anything', async () => {
    await using opened = await open();
    const options = {
      ...opened.options,
      installation: `test-${randomUUID()}`,
      holes: [{ cidr: '10.0.0.0/8; accept' }],
    };
    await expect(openNetworks(options)).rejects.toThrow(SandboxError);
    expect(await traces(options, 'none')).toEqual([]);
  });
});
