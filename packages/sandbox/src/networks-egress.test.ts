/** What security groups open, by real packets: as root, with iproute2 and nftables. */
import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { promisify } from 'node:util';
import { egressOf, type SecurityRule } from '@cupola/model/egress';
import { describe, expect, test } from 'vitest';
import { defaultEgress, type Egress } from './egress-chains.ts';
import { namesOf } from './network-place.ts';
import { networksMissing } from './network-tools.ts';
import {
  anOutside,
  datagramFrom,
  dialFrom,
  hostService,
  listenIn,
  open,
  orThrow,
  PROHIBITED,
} from './networks.fixture.ts';
import { type NetworkOptions, openNetworks } from './networks.ts';

const run = promisify(execFile);
const to = (...rules: SecurityRule[]): Egress => ({ rules: egressOf(rules), label: 'app-1' });
/** Where a database may be: a private network beside this machine. */
const aPrivateNetwork = () => anOutside(`10.${randomInt(160, 240)}.${randomInt(256)}`);

/** What comes back first for a packet of ours, by its first byte: 0 an echo, 3 a refusal. */
async function echoFrom(namespace: string, address: string): Promise<string> {
  const send = `use Socket; socket(S, AF_INET, SOCK_RAW, 1) or die; my $to = sockaddr_in(0, inet_aton('${address}'));
    send(S, pack('CCnnn', 8, 0, 0xf7fd, 1, 1), 0, $to) or die; alarm 30; recv(S, my $got, 100, 0); print ord(substr($got, 20, 1))`;
  return (await run('ip', ['netns', 'exec', namespace, 'perl', '-e', send])).stdout;
}

const tableOf = async ({ installation }: NetworkOptions): Promise<string> =>
  (await run('nft', ['list', 'table', 'inet', namesOf(installation).table])).stdout;

describe.runIf(networksMissing() === null)('Networks, security groups', () => {
  test('lease() opens a private address on the ports of its rules, and to that sandbox alone', async () => {
    await using opened = await open();
    await using database = await aPrivateNetwork();
    await using _ = await listenIn(database.name, 5432);
    await using _other = await listenIn(database.name, 5433);
    const rule = { protocol: 'tcp', destination: `${database.address}/24`, ports: '5430-5432' } as const;
    const [one, two] = [await opened.networks.lease(to(rule)), await opened.networks.lease(defaultEgress)];
    expect(await dialFrom(one.name, database.address, 5432)).toMatch(/^you are/);
    expect(await dialFrom(one.name, database.address, 5433)).toBe(PROHIBITED);
    expect(await dialFrom(two.name, database.address, 5432)).toBe(PROHIBITED);
  });

  test('lease() opens nothing where no group says so, the internet neither', async () => {
    await using opened = await open();
    await using outside = await anOutside(`198.51.${randomInt(101, 256)}`);
    await using _ = await listenIn(outside.name, 80);
    const { name } = await opened.networks.lease(to());
    expect(await dialFrom(name, outside.address, 80)).toBe(PROHIBITED);
  });

  test('lease() tells protocols apart', async () => {
    await using opened = await open();
    await using outside = await aPrivateNetwork();
    const destination = outside.address;
    const rules = { tcp: { ports: '53' }, udp: { ports: '53' }, icmp: { type: 8, code: 0 }, all: {} } as const;
    const lease = async (protocol: keyof typeof rules) =>
      (await opened.networks.lease(to({ protocol, destination, ...rules[protocol] }))).name;
    const [tcp, udp, icmp, all] = [await lease('tcp'), await lease('udp'), await lease('icmp'), await lease('all')];
    const echoes = await Promise.all([tcp, udp, icmp, all].map(name => echoFrom(name, destination)));
    expect(echoes).toEqual(['3', '3', '0', '0']);
    // Nobody listens: who gets through is told so.
    const datagrams = await Promise.all([tcp, udp, icmp, all].map(name => datagramFrom(name, destination, 53)));
    expect(datagrams).toEqual([PROHIBITED, 'Connection refused', PROHIBITED, 'Connection refused']);
    const dials = await Promise.all([tcp, udp, icmp, all].map(name => dialFrom(name, destination, 53)));
    expect(dials).toEqual(['Connection refused', PROHIBITED, PROHIBITED, 'Connection refused']);
  });

  test('lease() keeps host, neighbours and metadata shut, whatever a group opens', async () => {
    await using opened = await open();
    await using service = await hostService();
    await using outside = await aPrivateNetwork();
    const everything = to({ protocol: 'all', destination: '0.0.0.0/0', log: true });
    const [one, two] = [await opened.networks.lease(everything), await opened.networks.lease(everything)];
    await using _ = await listenIn(two.name, 8080);
    const hosts = outside.address.replace(/2$/, '1');
    expect(await dialFrom(one.name, hosts, service.port)).toBe(PROHIBITED);
    expect(await dialFrom(one.name, two.address, 8080)).toBe('Connection refused');
    expect(await dialFrom(one.name, '169.254.169.254', 80)).toBe(PROHIBITED);
    expect(await dialFrom(one.name, '100.100.100.200', 80)).toBe(PROHIBITED);
    expect(await dialFrom(one.name, outside.address, 80)).toBe('Connection refused');
  });

  test('of the host only a port that the operator names is opened, and only by a group', async () => {
    await using database = await hostService();
    await using other = await hostService();
    await using opened = await open({ hostPorts: [database.port] });
    await using outside = await aPrivateNetwork();
    const hosts = outside.address.replace(/2$/, '1');
    const everything = { protocol: 'tcp', destination: '0.0.0.0/0', ports: '1-65535' } as const;
    const [one, two] = [await opened.networks.lease(to(everything)), await opened.networks.lease(to())];
    expect(await dialFrom(one.name, hosts, database.port)).toBe('from the host');
    expect(await dialFrom(one.name, hosts, other.port)).toBe(PROHIBITED);
    expect(await dialFrom(two.name, hosts, database.port)).toBe(PROHIBITED);
    // Nor by its end of the sandbox's own cable, which is no address of anybody's choice.
    expect(
      await dialFrom(
        one.name,
        one.address.replace(/\d+$/, last => String(Number(last) - 1)),
        database.port,
      ),
    ).toBe(PROHIBITED);
  });

  test('the next process lets through what the former did', async () => {
    await using opened = await open({ ahead: 1 });
    await using database = await aPrivateNetwork();
    await using _ = await listenIn(database.name, 5432);
    const { name } = await opened.networks.lease(
      to({ protocol: 'tcp', destination: database.address, ports: '5432', log: true }),
    );
    await opened.networks.close({ remove: false });
    const next = orThrow(await openNetworks(opened.options));
    expect(await dialFrom(name, database.address, 5432)).toMatch(/^you are/);
    expect(await dialFrom(name, database.address, 5433)).toBe(PROHIBITED);
    await next.close({ remove: false });
  });

  test('release() leaves no rule of it behind; those that others have stay', async () => {
    await using opened = await open();
    const { networks, options } = opened;
    const empty = await tableOf(options);
    const alike = to({ protocol: 'tcp', destination: '10.9.9.9', ports: '1,2' });
    const [one, two] = [await networks.lease(alike), await networks.lease(alike)];
    const other = await networks.leaseForBuild(to({ protocol: 'udp', destination: '10.9.9.9', ports: '3', log: true }));
    const full = await tableOf(options);
    expect(full.match(/chain egress_/g)).toHaveLength(2);
    expect(full).toContain('log prefix "cupola app-1 "');
    await networks.release(two.name);
    await networks.release(other.name);
    await networks.close({ remove: false }); // Waits for what is under way.
    const left = await tableOf(options);
    expect(left.match(/chain egress_/g)).toHaveLength(1);
    expect(left).toContain(`${one.address} : jump egress_`);
    expect(left).not.toContain(`${two.address} : jump`);
    await networks.release(one.name);
    await networks.close({ remove: false });
    expect(await tableOf(options)).toBe(empty);
  });

  test('one made ahead reaches what its lease says, not what the one before it did', async () => {
    await using opened = await open({ ahead: 2 });
    await using database = await aPrivateNetwork();
    await using _ = await listenIn(database.name, 5432);
    const { networks, options } = opened;
    await networks.lease(to({ protocol: 'all', destination: database.address }));
    await networks.close({ remove: false });
    const next = orThrow(await openNetworks({ ...options, ahead: 2 }));
    const first = await next.lease(to({ protocol: 'all', destination: database.address }));
    const leased = [await next.lease(to()), await next.lease(to()), await next.lease(to())];
    expect(await dialFrom(first.name, database.address, 5432)).toMatch(/^you are/);
    const told = await Promise.all(leased.map(({ name }) => dialFrom(name, database.address, 5432)));
    expect(told).toEqual(leased.map(() => PROHIBITED));
    await next.close({ remove: false });
  });
});
