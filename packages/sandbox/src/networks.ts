/**
 * Network namespaces made ahead, one for each sandbox: an address of its own, apart from its neighbours and from the host, with egress rules.
 *
 * Each platform on a machine has a block of 10.254.0.0/16 to itself (claimed by a route, which the kernel adds once), cut into /30s: .1 is the host's end
 * of a veth pair, .2 the sandbox's. Rules come before namespaces; what is leased is remembered in a file, so that the next process goes on with it. An
 * address is given out again after 60 s: whoever still dials the old one must not reach the next app.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { CELL_LIMITS } from '@cupola/model/limits';
import type { Peering } from '@cupola/model/peers';
import { blocksOf, type Cidr, formatAddress, formatCidr, overlap, parseCidr, sizeOf } from './cidr.ts';
import { openDockerFirewall } from './docker-firewall.ts';
import { defaultEgress, type Egress, egressChain } from './egress-chains.ts';
import { readNameServers } from './name-servers.ts';
import { type Lease, type Memory, openMemory } from './network-memory.ts';
import { type Names, namesOf, type Place, placeIn, SLOT_BITS } from './network-place.ts';
import { networkPool, removeNamespaces } from './network-pool.ts';
import { type Door, type Hole, networkRules } from './network-rules.ts';
import {
  addHostAddress,
  addHostBlock,
  claimBlock,
  hostRoutes,
  loadRules,
  namespacesNamed,
  networksMissing,
  nft,
  releaseBlock,
  removeHostAddress,
  removeHostBlock,
} from './network-tools.ts';
import { operatorHoles } from './operator-holes.ts';
import { SandboxError } from './sandbox.ts';

export interface LeasedNetwork {
  /** Of the namespace, as in /run/netns. */
  name: string;
  /** Where the host reaches what listens inside. */
  address: string;
  /** Name servers to be asked from inside, in this order: the platform's own (not for builds), then the host's. */
  resolvers: string[];
}

export interface Networks {
  /** A network for one sandbox, at once where one was made ahead: from in there `egress` is reached, and nothing else. Throws SandboxError when there is none. */
  lease(egress: Egress): Promise<LeasedNetwork>;
  /** The same for a build, which also reaches the operator's registries and proxies. */
  leaseForBuild(egress: Egress): Promise<LeasedNetwork>;
  /** The one that a sandbox already runs in: it reaches what it did. Throws SandboxError when it is gone. */
  take(name: string): Promise<LeasedNetwork>;
  /** The sandbox has ended. Its address is given out again after 60 s. Idempotent. */
  release(name: string): Promise<void>;
  /** From now on these sandboxes reach these others, and stand-ins by these doors, and none reaches another besides. */
  connect(peerings: readonly Peering[], doors?: readonly Door[]): Promise<void>;
  /** Addresses of this host that sandboxes alone send to, for what is on other machines, and for doors to it. Empty: there are none. */
  readonly standIns: readonly string[];
  /** Where a name server for all sandboxes may listen, on UDP port 53: an address of this host that they alone reach. */
  readonly nameServer: string;
  /** Those leased, also by a former process on the same folder. */
  known(): LeasedNetwork[];
  /** `remove`: nothing of it stays on this machine; else the next process finds it again. */
  close(options: { remove: boolean }): Promise<void>;
}

export interface NetworkOptions {
  /** Remembers block and leases over restarts. */
  folder: string;
  /** Two platforms on one machine differ in it. */
  installation: string;
  /** Where addresses are taken from; 10.254.0.0/16. */
  cidr?: string;
  /** What the operator lets every app reach. */
  holes?: Hole[];
  /** TCP ports of this machine's own addresses that security groups may open; no groups open others. */
  hostPorts?: readonly number[];
  /** What builds reach besides; by default what the operator's npm and proxy settings name. */
  buildHoles?: Hole[];
  /** Of the host; by default those that it names and a sandbox reaches. */
  nameServers?: string[];
  /** A part of the block is kept for addresses that stand for sandboxes of other machines. */
  hasStandIns?: boolean;
  /** How many are made ahead. */
  ahead?: number;
  now?(): number;
  log: { info(facts: object, text: string): void; warn(facts: object, text: string): void };
}

const CIDR = '10.254.0.0/16';
/** A platform's share: 1,024 sandboxes, four times what a cell runs, so that 60 s of rest are no limit; sixteen platforms on one machine. */
const BLOCK_BITS = 20;
/** Twice the starts in flight of a cell. */
const AHEAD = 2 * CELL_LIMITS.startsInFlight;
/** To make one starts two processes: not while the sandbox that has just got one begins (ours). */
const REFILL_AFTER_MS = 1_000;

/** Null where sandboxes have to share the host's network; the log says why. Throws when the rules cannot be loaded: then nothing may start. */
export async function openNetworks(options: NetworkOptions): Promise<Networks | null> {
  const missing = networksMissing();
  if (missing !== null) {
    options.log.info({ reason: missing }, 'sandboxes share the network of this machine');
    return null;
  }
  const names = namesOf(options.installation);
  const memory = openMemory(options.folder);
  const whole = wholeOf(options.cidr ?? CIDR);
  const block = await ownBlock(whole, memory);
  const place = placeIn(block, names);
  const leases = await keepLeases(memory, place, names);
  switchForwardingOn(options.log);
  const nameServers = options.nameServers ?? readNameServers();
  // The last place of the block is nobody's.
  const lastSlot = sizeOf(block.bits) / sizeOf(SLOT_BITS) - 1;
  const nameServer = place(lastSlot).address;
  const standIns = standInsOf(block);
  const firstFar = lastSlot + 1 - sizeOf(standIns.bits) / sizeOf(SLOT_BITS);
  // Leases of a former process that had none are there until the machine is restarted.
  const hasStandIns = options.hasStandIns === true && leases.every(({ slot }) => slot < firstFar);
  const slots = hasStandIns ? firstFar : lastSlot;
  if (nameServers.length === 0)
    options.log.warn({}, 'apps resolve no names but each other’s: this machine has a name server on its loopback only');
  const rules = networkRules({
    table: names.table,
    linkPrefix: names.link,
    block,
    whole,
    nameServers,
    nameServer,
    holes: checked(options.holes ?? []),
    hostPorts: [...(options.hostPorts ?? [])],
    buildHoles: checked(options.buildHoles ?? (await operatorHoles(process.env))),
    builders: leases.flatMap(({ slot, isBuild }) => (isBuild ? [place(slot).address] : [])),
    chains: Object.values(memory.read().egress).map(egressChain),
    egress: leases.map(({ slot, chain }) => ({ address: place(slot).address, chain })),
    peerings: memory.read().peerings,
    doors: hasStandIns ? memory.read().doors : [],
    standIns: hasStandIns ? standIns : null,
    ends: Array.from({ length: slots }, (_, slot) => place(slot)),
  });
  const [firewall] = await Promise.all([
    openDockerFirewall(names.link, options.log),
    addHostAddress(nameServer),
    loadRules(rules).then(() => (hasStandIns ? addHostBlock(standIns) : removeHostBlock(standIns))),
  ]);
  options.log.info({ block: formatCidr(block), nameServers }, 'each sandbox gets a network of its own');
  const pool = networkPool({
    names,
    memory,
    place,
    slots,
    nameServers,
    nameServer,
    ahead: options.ahead ?? AHEAD,
    refillAfterMs: REFILL_AFTER_MS,
    now: options.now ?? Date.now,
    log: options.log,
    removeRest: async () => {
      await removeHostAddress(nameServer);
      await removeHostBlock(standIns);
      await removeRest(names, block, memory);
    },
  });
  return {
    ...pool,
    standIns: hasStandIns ? addressesOf(standIns).slice(0, -sizeOf(SLOT_BITS)) : [],
    close: async how => {
      await firewall.close(how);
      await pool.close(how);
    },
  };
}

/** Of a former process those whose namespaces are there still; other namespaces go. What their sandboxes reach stays as it was. */
async function keepLeases(memory: Memory, place: (slot: number) => Place, names: Names): Promise<Lease[]> {
  const alive = namespacesNamed(names.namespace);
  const { leases, egress, peerings, doors } = memory.read();
  const kept = leases
    .filter(({ slot }) => alive.includes(place(slot).name))
    .map(lease => ({ lease, egress: egress[lease.chain] ?? defaultEgress }))
    // The name says what the chain holds: another version may write it otherwise.
    .map(known => ({ ...known, lease: { ...known.lease, chain: egressChain(known.egress).name } }));
  const addresses = new Set(kept.map(({ lease }) => place(lease.slot).address));
  memory.update({
    leases: kept.map(({ lease }) => lease),
    egress: Object.fromEntries(kept.map(({ lease, egress: known }) => [lease.chain, known])),
    peerings: peerings.map(one => ({
      ...one,
      from: one.from.filter(address => addresses.has(address)),
      to: one.to.filter(address => addresses.has(address)),
    })),
    doors: doors.filter(({ from }) => addresses.has(from)),
  });
  const held = kept.map(({ lease }) => place(lease.slot).name);
  await removeNamespaces(
    alive.filter(name => !held.includes(name)),
    names,
  );
  return memory.read().leases;
}

/** The last quarter: three times what a cell runs are left for sandboxes. The name server is in its last place. */
const standInsOf = ({ base, bits }: Cidr): Cidr => ({ base: base + 3 * sizeOf(bits + 2), bits: bits + 2 });
const addressesOf = ({ base, bits }: Cidr): string[] =>
  Array.from({ length: sizeOf(bits) }, (_, index) => formatAddress(base + index));

function checked(holes: Hole[]): Hole[] {
  return holes.map(({ cidr, port }) => {
    const parsed = parseCidr(cidr);
    if (parsed === null) throw new SandboxError(`"${cidr}" is not an IPv4 address or network, such as 10.1.2.0/24`);
    return { cidr: formatCidr(parsed), ...(port === undefined ? {} : { port: Math.trunc(port) }) };
  });
}

function wholeOf(cidr: string): Cidr {
  const whole = parseCidr(cidr);
  if (whole === null || whole.bits > SLOT_BITS) throw new SandboxError(`"${cidr}" is no network for sandboxes`);
  return whole;
}

/**
 * The block of before if it is still ours, else the first that nothing on this machine overlaps. Stand-ins are there only while their block is marked: without
 * that they are what a killed platform has left whose files were removed, and nobody's.
 */
async function ownBlock(whole: Cidr, memory: Memory): Promise<Cidr> {
  const routes = await hostRoutes();
  const before = parseCidr(memory.read().block);
  if (before !== null && routes.some(route => formatCidr(route) === formatCidr(before))) return before;
  memory.update({ leases: [], egress: {}, peerings: [], doors: [], released: [] });
  for (const block of blocksOf(whole, BLOCK_BITS)) {
    const left = formatCidr(standInsOf(block));
    if (routes.some(route => overlap(route, block) && formatCidr(route) !== left) || !(await claimBlock(block)))
      continue;
    memory.update({ block: formatCidr(block) });
    return block;
  }
  throw new SandboxError(
    `every part of ${formatCidr(whole)} is in use on this machine: choose another network for sandboxes`,
  );
}

const FORWARDING = '/proc/sys/net/ipv4/ip_forward';
/** Says to the last platform that leaves this machine that it was off before the first came. */
const WAS_OFF = '/run/cupola/forwarding-was-off';
function switchForwardingOn(log: NetworkOptions['log']): void {
  if (readFileSync(FORWARDING, 'utf8').trim() !== '0') return;
  mkdirSync(dirname(WAS_OFF), { recursive: true, mode: 0o755 });
  writeFileSync(WAS_OFF, '');
  writeFileSync(FORWARDING, '1');
  log.info(
    {},
    'switched on the forwarding of packets (net.ipv4.ip_forward), which sandboxes need to reach the internet',
  );
}

async function removeRest({ table }: Names, block: Cidr, memory: Memory): Promise<void> {
  // Named first, so that it is there to be deleted when this is the second time.
  await loadRules(`table inet ${table}\ndelete table inet ${table}\n`);
  await releaseBlock(block);
  const isLast = !/^table inet cupola_/m.test(await nft('list', 'tables'));
  if (isLast && existsSync(WAS_OFF)) {
    writeFileSync(FORWARDING, '0');
    rmSync(WAS_OFF);
  }
  memory.forget();
  await unmountNamespaces();
}

/** The folder of named namespaces is mounted on itself by the first who makes one; the last takes it away. */
async function unmountNamespaces(): Promise<void> {
  if (namespacesNamed('').length > 0) return;
  // Fails where it is not mounted, or just used again: as good.
  await promisify(execFile)('umount', ['/run/netns']).catch(() => undefined);
}
