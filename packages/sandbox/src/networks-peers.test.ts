/** Who reaches whom among sandboxes, by real packets: as root, with iproute2 and nftables. */
import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { promisify } from 'node:util';
import type { Span } from '@cupola/model/egress';
import { describe, expect, test } from 'vitest';
import { defaultEgress, type Egress } from './egress-chains.ts';
import { networksMissing } from './network-tools.ts';
import { anOutside, datagramFrom, dialFrom, listenIn, open, orThrow, PROHIBITED } from './networks.fixture.ts';
import { openNetworks } from './networks.ts';

const run = promisify(execFile);
const nothing: Egress = { rules: [], label: '' };
/** By a rule, or since nobody listens. */
const REFUSED = 'Connection refused';
const LOST = 'timed out';
/** For what is lost. */
const SILENCE_S = 2;

/** Answers each datagram with what came, as a name server would stand there. */
async function echoAt(address: string): Promise<AsyncDisposable> {
  const socket = createSocket('udp4');
  socket.on('message', (message, from) => socket.send(message, from.port, from.address));
  socket.bind(53, address);
  await once(socket, 'listening');
  return { [Symbol.asyncDispose]: () => new Promise(resolve => socket.close(() => resolve())) };
}

/** Listens on every address of the host, and says who has come to which. */
async function aDoorkeeper(): Promise<AsyncDisposable & { port: number }> {
  const server = createServer(socket => socket.end(`${socket.remoteAddress} at ${socket.localAddress}`));
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => new Promise(resolve => server.close(() => resolve())),
  };
}

describe.runIf(networksMissing() === null)('Networks, peers', () => {
  test('without connect() a sandbox is refused at once by its neighbours, by TCP and UDP', async () => {
    await using opened = await open();
    const { networks } = opened;
    const [front, back] = [await networks.lease(nothing), await networks.lease(nothing)];
    await using _ = await listenIn(back.name, 8080);
    // By a reset: ICMP alone would be believed a second later, as "No route to host".
    expect(await dialFrom(front.name, back.address, 8080)).toBe(REFUSED);
    expect(await datagramFrom(front.name, back.address, 8080)).toBe(PROHIBITED);
  });

  test('connect() leads one sandbox to another on the ports said, one way, until it says otherwise', async () => {
    await using opened = await open();
    const { networks, options } = opened;
    const [front, back] = [await networks.lease(nothing), await networks.lease(nothing)];
    await using _ = await listenIn(back.name, 8080);
    await using _last = await listenIn(back.name, 8085);
    await using _beyond = await listenIn(back.name, 8086);
    await using _front = await listenIn(front.name, 8080);
    const tcp: Span[] = [
      [80, 80],
      [8080, 8085],
    ];
    await networks.connect([{ from: [front.address], to: [back.address], tcp, udp: [] }]);
    // It is seen with its own address.
    expect(await dialFrom(front.name, back.address, 8080)).toBe(`you are ${front.address}`);
    expect(await dialFrom(front.name, back.address, 8085)).toBe(`you are ${front.address}`);
    expect(await dialFrom(front.name, back.address, 8086)).toBe(REFUSED);
    expect(await dialFrom(back.name, front.address, 8080)).toBe(REFUSED);
    expect(await datagramFrom(front.name, back.address, 8080)).toBe(PROHIBITED);
    // The next process goes on with it.
    await networks.close({ remove: false });
    const next = orThrow(await openNetworks(options));
    expect(await dialFrom(front.name, back.address, 8080)).toContain('you are');
    await next.connect([]);
    expect(await dialFrom(front.name, back.address, 8080)).toBe(REFUSED);
    await next.close({ remove: false });
  });

  test('connect() tells protocols apart, and each pair has its own ports', async () => {
    await using opened = await open();
    const { networks } = opened;
    const lease = async () => await networks.lease(nothing);
    const [front, back, other] = [await lease(), await lease(), await lease()];
    await using _ = await listenIn(other.name, 65_535);
    await using _back = await listenIn(back.name, 53);
    await networks.connect([
      { from: [front.address], to: [back.address], tcp: [], udp: [[53, 53]] },
      { from: [front.address, back.address], to: [other.address], tcp: [[1, 65_535]], udp: [] },
    ]);
    // Nobody listens for datagrams: who gets through is told so.
    expect(await datagramFrom(front.name, back.address, 53)).toBe(REFUSED);
    expect(await dialFrom(front.name, back.address, 53)).toBe(REFUSED);
    expect(await dialFrom(front.name, other.address, 65_535)).toContain('you are');
    expect(await dialFrom(back.name, other.address, 65_535)).toContain('you are');
    expect(await datagramFrom(back.name, other.address, 53)).toBe(PROHIBITED);
  });

  test('connect() holds for many sandboxes and many sets of ports, and leaves no rule behind', async () => {
    await using opened = await open();
    const { networks, options } = opened;
    const { namesOf } = await import('./network-place.ts');
    const table = async () => (await run('nft', ['list', 'table', 'inet', namesOf(options.installation).table])).stdout;
    const empty = await table();
    const addresses = Array.from({ length: 5 }, (_, index) => `10.254.255.${index}`);
    const many = Array.from({ length: 20 }, (_, index) => ({
      from: addresses,
      to: addresses.map(address => address.replace('255', String(index))),
      tcp: [[index + 1, 2 * index + 1] as Span],
      udp: [],
    }));
    await networks.connect(many);
    await networks.connect(many.slice(5).toReversed());
    expect((await table()).match(/chain peers_/g)).toHaveLength(15);
    await networks.connect([]);
    expect(await table()).toBe(empty);
  });

  test('connect() is tried again after a failure', async () => {
    await using opened = await open();
    const { networks } = opened;
    const [front, back] = [await networks.lease(nothing), await networks.lease(nothing)];
    const wrong = { from: ['nobody'], to: [back.address], tcp: [], udp: [[80, 80] as Span] };
    await expect(networks.connect([wrong])).rejects.toThrow();
    await networks.connect([{ ...wrong, from: [front.address] }]);
    expect(await datagramFrom(front.name, back.address, 80)).toBe(REFUSED);
  });

  test('a sandbox that gives itself the address of another reaches nothing with it', async () => {
    await using opened = await open();
    const { networks } = opened;
    const lease = async () => await networks.lease(defaultEgress);
    const [front, back, thief] = [await lease(), await lease(), await lease()];
    await using _ = await echoAt(networks.nameServer);
    await networks.connect([{ from: [front.address], to: [back.address], tcp: [], udp: [[80, 80]] }]);
    expect(await datagramFrom(thief.name, networks.nameServer, 53)).toBe('x');
    const stolen = ['via', gatewayOf(thief.address), 'src', front.address];
    await run('ip', ['-n', thief.name, 'addr', 'add', `${front.address}/32`, 'dev', 'eth0']);
    await run('ip', ['-n', thief.name, 'route', 'change', 'default', ...stolen]);
    expect(await datagramFrom(thief.name, back.address, 80, SILENCE_S)).toBe(LOST);
    expect(await datagramFrom(thief.name, networks.nameServer, 53, SILENCE_S)).toBe(LOST);
    expect(await datagramFrom(front.name, back.address, 80)).toBe(REFUSED);
  });

  test('a stand-in is reached through its door, by whom and on the port that it was made for; by nobody else, and not on the door itself', async () => {
    await using opened = await open({ hasStandIns: true });
    const { networks, options } = opened;
    const [front, other] = [await networks.lease(defaultEgress), await networks.lease(defaultEgress)];
    const [to = '', door = ''] = networks.standIns;
    await using listener = await aDoorkeeper();
    const { port: doorPort } = listener;
    await networks.connect([], [{ from: front.address, to, port: 8080, door, doorPort }]);
    expect(await dialFrom(front.name, to, 8080)).toBe(`${front.address} at ${door}`);
    expect(await dialFrom(front.name, to, 8081)).toBe(REFUSED);
    expect(await dialFrom(front.name, door, doorPort)).toBe(REFUSED);
    expect(await dialFrom(other.name, to, 8080)).toBe(REFUSED);
    expect(await dialFrom(other.name, door, doorPort)).toBe(REFUSED);
    expect(await datagramFrom(front.name, to, 8080)).toBe(PROHIBITED);
    await using outside = await anOutside(`198.51.${randomInt(101, 256)}`);
    await run('ip', ['-n', outside.name, 'route', 'add', 'default', 'via', gatewayOf(outside.address)]);
    expect(await dialFrom(outside.name, door, doorPort, SILENCE_S)).toBe(LOST);
    // The next process goes on with it.
    await networks.close({ remove: false });
    const next = orThrow(await openNetworks(options));
    expect(await dialFrom(front.name, to, 8080)).toBe(`${front.address} at ${door}`);
    await next.connect([]);
    expect(await dialFrom(front.name, to, 8080)).toBe(REFUSED);
    await next.close({ remove: false });
  });

  test('nameServer is an address of this host that sandboxes reach on port 53 alone', async () => {
    await using opened = await open();
    const { networks } = opened;
    const { name, resolvers } = await networks.lease(nothing);
    await using _ = await echoAt(networks.nameServer);
    expect(resolvers[0]).toBe(networks.nameServer);
    expect(await datagramFrom(name, networks.nameServer, 53)).toBe('x');
    expect(await datagramFrom(name, networks.nameServer, 54)).toBe(PROHIBITED);
    expect(await dialFrom(name, networks.nameServer, 22)).toBe(PROHIBITED);
  });

  test('what is asked of nameServer by TCP the first name server of the host answers', async () => {
    await using host = await anOutside(`198.51.${randomInt(101, 256)}`);
    await using _ = await listenIn(host.name, 53);
    await using opened = await open({ nameServers: [host.address] });
    const { name } = await opened.networks.lease(nothing);
    expect(await dialFrom(name, opened.networks.nameServer, 53)).toContain('you are');
    await using without = await open({ nameServers: [] });
    const other = await without.networks.lease(nothing);
    expect(await dialFrom(other.name, without.networks.nameServer, 53)).toBe(PROHIBITED);
  });

  test('nameServer is not reached from outside of this machine', async () => {
    await using opened = await open();
    const { networks } = opened;
    await using _ = await echoAt(networks.nameServer);
    await using outside = await anOutside(`198.51.${randomInt(101, 256)}`);
    await run('ip', ['-n', outside.name, 'route', 'add', 'default', 'via', gatewayOf(outside.address)]);
    expect(await datagramFrom(outside.name, networks.nameServer, 53, SILENCE_S)).toBe(LOST);
  });

  test('a build asks the host’s name servers alone', async () => {
    await using opened = await open();
    const { networks } = opened;
    const [build, app] = [await networks.leaseForBuild(nothing), await networks.lease(nothing)];
    expect([networks.nameServer, ...build.resolvers].slice(0, 3)).toEqual(app.resolvers);
  });
});

const gatewayOf = (address: string): string => address.replace(/\d+$/, last => String(Number(last) - 1));
