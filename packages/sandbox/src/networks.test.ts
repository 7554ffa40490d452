/** Real namespaces, rules and packets: as root, with iproute2 and nftables. */
import { execFile } from 'node:child_process';
import { randomInt, randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { defaultEgress } from './egress-chains.ts';
import { networksMissing } from './network-tools.ts';
import {
  anOutside,
  dialFrom,
  dialFromHost,
  hostService,
  listenIn,
  open,
  orThrow,
  PROHIBITED,
} from './networks.fixture.ts';
import { type NetworkOptions, openNetworks } from './networks.ts';
import { SandboxError } from './sandbox.ts';

const run = promisify(execFile);

/** Without those that come and go with other tests: of sandboxes, of machines that are namespaces, of engines. */
const hostAddresses = (): string[] =>
  Object.entries(networkInterfaces())
    .flatMap(([name, addresses]) => (/^(?:cu|ct|br-|t[0-9a-f])/.test(name) ? [] : (addresses ?? [])))
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .map(({ address }) => address);

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
    const { name, address } = await opened.networks.lease(defaultEgress);
    await using _ = await listenIn(name, 8080);
    expect(await dialFromHost(address, 8080)).toMatch(/^you are 10\.254\./);
  });

  test('an app reaches the internet, where it is seen as the host', async () => {
    await using opened = await open();
    await using outside = await anOutside();
    await using _ = await listenIn(outside.name, 80);
    const { name } = await opened.networks.lease(defaultEgress);
    expect(await dialFrom(name, outside.address, 80)).toBe('you are 198.51.100.1');
  });

  test('the internet does not reach an app', async () => {
    await using opened = await open();
    await using outside = await anOutside();
    const { name, address } = await opened.networks.lease(defaultEgress);
    await using _ = await listenIn(name, 8080);
    await run('ip', ['-n', outside.name, 'route', 'add', 'default', 'via', '198.51.100.1']);
    expect(await dialFrom(outside.name, address, 8080)).toBe(PROHIBITED);
  });

  test('an app reaches a service of the host by none of its addresses', async () => {
    await using opened = await open();
    await using service = await hostService();
    const { name, address } = await opened.networks.lease(defaultEgress);
    const gateway = address.replace(/\d+$/, last => String(Number(last) - 1));
    const addresses = [gateway, ...hostAddresses()];
    const told = await Promise.all(addresses.map(to => dialFrom(name, to, service.port)));
    expect(told).toEqual(addresses.map(() => PROHIBITED));
    expect(await dialFromHost(gateway, service.port)).toBe('from the host');
  });

  test('an app does not reach its neighbour', async () => {
    await using opened = await open();
    const [one, two] = [await opened.networks.lease(defaultEgress), await opened.networks.lease(defaultEgress)];
    await using _ = await listenIn(two.name, 8080);
    expect(await dialFrom(one.name, two.address, 8080)).toBe('Connection refused');
    expect(await dialFromHost(two.address, 8080)).toContain('you are');
  });

  test.each(['169.254.169.254', '10.0.0.1', '192.168.1.1', '172.17.0.1', '100.64.0.1'])(
    'an app is refused at once by %s',
    async address => {
      await using opened = await open();
      const { name } = await opened.networks.lease(defaultEgress);
      expect(await dialFrom(name, address, 80)).toBe(PROHIBITED);
    },
  );

  test('no address of another family leads around the rules', async () => {
    await using opened = await open();
    const { name } = await opened.networks.lease(defaultEgress);
    const shown = (await run('ip', ['-n', name, '-6', 'addr', 'show', 'dev', 'eth0'])).stdout;
    expect(shown).toBe('');
  });

  test('a hole lets through to that port and no other', async () => {
    await using service = await hostService();
    await using other = await hostService();
    const [cidr = ''] = hostAddresses();
    await using opened = await open({ holes: [{ cidr, port: service.port }] });
    const { name } = await opened.networks.lease(defaultEgress);
    expect(await dialFrom(name, cidr, service.port)).toBe('from the host');
    expect(await dialFrom(name, cidr, other.port)).toBe(PROHIBITED);
  });

  test('leaseForBuild() reaches what builds alone may reach', async () => {
    await using service = await hostService();
    const [cidr = ''] = hostAddresses();
    await using opened = await open({ buildHoles: [{ cidr, port: service.port }] });
    const [app, build] = [
      await opened.networks.lease(defaultEgress),
      await opened.networks.leaseForBuild(defaultEgress),
    ];
    expect(await dialFrom(app.name, cidr, service.port)).toBe(PROHIBITED);
    expect(await dialFrom(build.name, cidr, service.port)).toBe('from the host');
    await opened.networks.close({ remove: false });
    await openNetworks(opened.options);
    expect(await dialFrom(build.name, cidr, service.port)).toBe('from the host');
  });

  test('two platforms on one machine share nothing', async () => {
    await using first = await open();
    const second = await open();
    const [one, two] = [await first.networks.lease(defaultEgress), await second.networks.lease(defaultEgress)];
    await using _ = await listenIn(one.name, 8080);
    expect(blockOf(first.options)).not.toBe(blockOf(second.options));
    expect(await dialFrom(two.name, one.address, 8080)).toBe('Connection refused');
    await second[Symbol.asyncDispose]();
    expect(await dialFrom(one.name, '169.254.169.254', 80)).toBe(PROHIBITED);
    expect(await dialFromHost(one.address, 8080)).toContain('you are');
  });

  test('the next process finds what is leased, and what runs in it goes on', async () => {
    await using opened = await open({ ahead: 2 });
    const leased = await opened.networks.lease(defaultEgress);
    await using _ = await listenIn(leased.name, 8080);
    await opened.networks.close({ remove: false });
    const next = orThrow(await openNetworks(opened.options));
    expect(next.known()).toEqual([leased]);
    expect(await next.take(leased.name)).toEqual(leased);
    expect((await next.lease(defaultEgress)).name).not.toBe(leased.name);
    expect(await dialFromHost(leased.address, 8080)).toContain('you are');
    await next.close({ remove: false });
  });

  test('take() of a name that nobody has throws SandboxError', async () => {
    await using opened = await open();
    await expect(opened.networks.take('cupola-gone-1')).rejects.toThrow(SandboxError);
  });

  test('release() lets an address rest for a minute', async () => {
    let nowMs = 1_000_000;
    await using opened = await open({ cidr: '10.253.7.0/28', now: () => nowMs });
    const addresses: string[] = [];
    const { networks } = opened;
    for (const _ of [1, 2, 3]) {
      const { name, address } = await networks.lease(defaultEgress);
      addresses.push(address);
      await networks.release(name);
      await networks.release(name);
    }
    expect(new Set(addresses).size).toBe(3);
    await expect(networks.lease(defaultEgress)).rejects.toThrow(/rests for a minute/);
    nowMs += 60_000;
    expect((await networks.lease(defaultEgress)).address).toBe(addresses[0]);
  });

  test('a reboot is noticed: nothing is leased then', async () => {
    await using opened = await open();
    await opened.networks.lease(defaultEgress);
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
    await opened.networks.lease(defaultEgress);
    const block = blockOf(opened.options);
    expect((await traces(opened.options, block)).length).toBeGreaterThan(3);
    await opened.networks.close({ remove: true });
    expect(await traces(opened.options, block)).toEqual([]);
  });

  test('openNetworks() takes a block of which a killed platform has left the stand-ins, and leaves nothing of them', async () => {
    const net = `10.250.${16 * randomInt(16)}`;
    const stays = `10.250.${Number(net.split('.')[2]) + 12}.0/22`;
    await run('ip', ['route', 'replace', 'local', stays, 'dev', 'lo']);
    await using opened = await open({ cidr: `${net}.0/20` });
    await opened.networks.close({ remove: true });
    expect((await run('ip', ['route', 'show', 'table', 'local'])).stdout).not.toContain(stays);
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
