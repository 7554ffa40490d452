import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import type { Peering } from '@cupola/model/peers';
import type { Networks } from '@cupola/sandbox/networks';
import { expect, test } from 'vitest';
import {
  aPlacement,
  aRunSpec,
  ask,
  healthCheck,
  isRoot,
  serverLayer,
  testCell,
  until,
  waitingClock,
} from './fixtures.ts';

const hasTools = isRoot && spawnSync('ip', ['netns'], { stdio: 'ignore' }).status === 0;
const ip = (...args: string[]): void => void execFileSync('ip', args, { stdio: 'pipe' });

/** One namespace with a link to this machine, made by hand: without rules, which are the pool's own tests' matter. */
function handMadeNetworks(): Networks & {
  leased: string[];
  released: string[];
  connected: Array<readonly Peering[]>;
} & AsyncDisposable {
  const [id, high, low] = [randomBytes(4).toString('hex'), ...randomBytes(2)] as unknown as [string, number, number];
  const name = `cupola-t-${id}`;
  const subnet = `10.${240 + (high % 10)}.${low}`;
  ip('netns', 'add', name);
  ip('link', 'add', `ct${id}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
  ip('address', 'add', `${subnet}.1/30`, 'dev', `ct${id}`);
  ip('link', 'set', `ct${id}`, 'up');
  ip('-n', name, 'address', 'add', `${subnet}.2/30`, 'dev', 'eth0');
  ip('-n', name, 'link', 'set', 'eth0', 'up');
  ip('-n', name, 'link', 'set', 'lo', 'up');
  const network = { name, address: `${subnet}.2`, resolvers: [`${subnet}.1`, '192.0.2.53'] };
  const leased: string[] = [];
  const released: string[] = [];
  const connected: Array<readonly Peering[]> = [];
  return {
    leased,
    released,
    connected,
    lease: async ({ label }) => {
      leased.push(label);
      return network;
    },
    take: async known => {
      leased.push(known);
      return network;
    },
    leaseForBuild: async () => network,
    standIns: [],
    nameServer: `${subnet}.1`,
    connect: async peerings => void connected.push(peerings),
    release: async given => void released.push(given),
    known: () => [network],
    close: async () => undefined,
    [Symbol.asyncDispose]: async () => ip('netns', 'del', name),
  };
}

test.runIf(hasTools)(
  'a copy with a network of its own listens on 8080 of its address, which the next agent keeps',
  async () => {
    await using networks = handMadeNetworks();
    await using cell = await testCell();
    const first = await cell.startAgent({ networks });
    const placement = aPlacement(aRunSpec([cell.add(await serverLayer())]));
    const running = await cell.run(placement);
    const { name, address } = networks.known()[0] ?? {};
    expect(running.address).toEqual({ host: address, port: 8080 });
    const environment = await ask(running, '/env');
    expect(environment).toContain('\nPORT=8080\n');
    expect(environment).toContain(`\nCF_INSTANCE_INTERNAL_IP=${address}\n`);
    expect(await ask(running, '/resolvers')).toContain(
      `nameserver ${address?.replace(/2$/, '1')}\nnameserver 192.0.2.53\n`,
    );

    await first[Symbol.asyncDispose]();
    await cell.startAgent({ networks });
    await until('taken over', () => cell.api.registrations.length === 2);
    expect(networks.leased).toEqual([placement.runSpec.appGuid, name]);
    expect(await ask(running)).toBe('hello');
    cell.api.withdraw(placement.guid);
    await until('released', () => networks.released.includes(name ?? ''));
  },
);

test.runIf(hasTools).each([
  [{ LISTEN_ON: '127.0.0.1' }, 'the app listens on 127.0.0.1:8080 only: it has to listen on 0.0.0.0'],
  [{ LISTEN_PORT: '3000' }, 'the app listens on port 3000 instead of 8080: it has to take the one in PORT'],
])('a copy that cannot be reached there is told why: %o', async (environment, why) => {
  await using networks = handMadeNetworks();
  await using cell = await testCell();
  const clock = waitingClock();
  await cell.startAgent({ networks, monotonic: clock.monotonic });
  const layer = cell.add(await serverLayer());
  const runSpec = aRunSpec([layer], {
    environment: { ...environment },
    healthCheck: healthCheck({ timeoutMs: 1_000 }),
  });
  cell.api.place(aPlacement(runSpec));
  await until('it listens', () => cell.api.lines('APP/PROC/WEB').some(line => line.startsWith('listening')));
  clock.go();
  const crashed = await until('the crash', () => cell.api.reports.find(({ crashCount }) => crashCount === 1));
  expect(crashed.exit?.reason).toBe(`health check failed: connection refused on port 8080 (${why})`);
});

test.runIf(hasTools)('a network that no copy has any more is given back, once the view is fresh', async () => {
  await using networks = handMadeNetworks();
  await using cell = await testCell();
  await cell.startAgent({ networks });
  await until('released', () => networks.released.length === 1);
  expect(networks.leased).toEqual([]);
});
