/** Namespaces made ahead, given out, taken back: what is done to the host goes one after the other, and what is given out is remembered before. */
import { readdirSync } from 'node:fs';
import { CELL_LIMITS } from '@cupola/model/limits';
import { type Egress, type EgressChain, egressChain } from './egress-chains.ts';
import { type Leads, openLeads } from './network-leads.ts';
import type { Lease, Memory } from './network-memory.ts';
import { openPeers } from './network-peers.ts';
import { insideCommands, type Names, type Place, SLOT_BITS } from './network-place.ts';
import { ipBatch, namespacesNamed, nft } from './network-tools.ts';
import type { LeasedNetwork, Networks } from './networks.ts';
import { SandboxError } from './sandbox.ts';

/** More are passed over by the C library. */
const RESOLVERS_MAX = 3;

async function makeNamespace({ name, link, gateway, address }: Place): Promise<void> {
  await ipBatch([
    ['netns', 'add', name],
    ['link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name],
    ['link', 'set', link, 'addrgenmode', 'none'],
    ['addr', 'add', `${gateway}/${SLOT_BITS}`, 'dev', link],
    ['link', 'set', link, 'up'],
  ]);
  await ipBatch(insideCommands({ gateway, address }), ['-n', name]);
}

/** The pairs first: with a namespace alone its end would go a while later. Those that are not there are passed over. */
export async function removeNamespaces(wanted: string[], names: Names): Promise<void> {
  const there = namespacesNamed(names.namespace);
  const namespaces = wanted.filter(name => there.includes(name));
  const links = readdirSync('/sys/class/net');
  const linkOf = (name: string): string => `${names.link}${name.slice(names.namespace.length)}`;
  await ipBatch(wanted.map(linkOf).flatMap(link => (links.includes(link) ? [['link', 'del', link]] : [])));
  await ipBatch(namespaces.map(name => ['netns', 'del', name]));
}

interface Slots {
  /** The next in the round that nobody has and that has rested. Throws SandboxError when there is none. */
  take(): number;
  giveBack(slot: number): void;
}

function openSlots({ memory, slots, now }: Pick<PoolFacts, 'memory' | 'slots' | 'now'>): Slots {
  /** Those of namespaces that are there, or being made. */
  const held = new Set(memory.read().leases.map(({ slot }) => slot));
  let last = -1;
  return {
    take: () => {
      const { released } = memory.read();
      const rests = released.filter(([, atMs]) => now() - atMs < CELL_LIMITS.reuseMs);
      if (rests.length < released.length) memory.update({ released: rests });
      const busy = new Set([...held, ...rests.map(([slot]) => slot)]);
      const next = Array.from({ length: slots }, (_, index) => (last + 1 + index) % slots).find(
        slot => !busy.has(slot),
      );
      if (next === undefined)
        throw new SandboxError('no network is free: each address rests for a minute after its use');
      last = next;
      held.add(next);
      return next;
    },
    giveBack: slot => void held.delete(slot),
  };
}

export interface PoolFacts {
  names: Names;
  memory: Memory;
  place(slot: number): Place;
  slots: number;
  /** Of the host, as far as they answer inside. */
  nameServers: readonly string[];
  /** The platform's own. */
  nameServer: string;
  /** How many are made ahead. */
  ahead: number;
  /** From a lease until another one is made; none left are made at once. */
  refillAfterMs: number;
  now(): number;
  log: { warn(facts: object, text: string): void };
  /** Takes away what `openNetworks` has set up besides namespaces. */
  removeRest(): Promise<void>;
}

interface ReadyParts {
  slots: Slots;
  leads: Leads;
  /** What the next one will be asked to reach, most likely: most starts of a machine ask for the same. */
  guess(): EgressChain | undefined;
  inTurn<T>(work: () => Promise<T>): Promise<T>;
}

/** Networks ready to be taken, made again in the background as they are. */
function openReady(
  { names, place, ahead, refillAfterMs, log }: PoolFacts,
  { slots, leads, guess, inTurn }: ReadyParts,
): { take(): Promise<Place>; refill(when: { soon: boolean }): void; stop(): Promise<void> } {
  const ready: Place[] = [];
  let isStopped = false;
  let filling: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  const make = (): Promise<Place> =>
    inTurn(async () => {
      const made = place(slots.take());
      try {
        await makeNamespace(made);
        const guessed = guess();
        if (guessed !== undefined) await leads.lead(made.address, guessed);
        return made;
      } catch (error) {
        await removeNamespaces([made.name], names);
        slots.giveBack(made.slot);
        throw new SandboxError(`no network could be made: ${(error as Error).message}`, { cause: error });
      }
    });
  const fill = async (): Promise<void> => {
    while (!isStopped && ready.length < ahead) {
      try {
        ready.push(await make());
      } catch (error) {
        log.warn({ err: error }, 'no network was made ahead');
        return; // The next lease tries again, and tells who asked.
      }
    }
  };
  return {
    take: async () => ready.shift() ?? (await make()),
    refill: ({ soon }) => {
      clearTimeout(timer);
      const now = (): void => {
        filling = filling.then(fill);
      };
      if (soon || ready.length === 0) return now();
      timer = setTimeout(now, refillAfterMs);
      timer.unref();
    },
    stop: async () => {
      clearTimeout(timer);
      isStopped = true;
      await filling;
    },
  };
}

export function networkPool(facts: PoolFacts): Omit<Networks, 'standIns'> {
  const { names, memory, place, nameServers, nameServer, now, log, removeRest } = facts;
  const slots = openSlots(facts);
  const { leases } = memory.read();
  const leads = openLeads(names.table, new Map(leases.map(({ slot, chain }) => [place(slot).address, chain])));
  let newest: EgressChain | undefined;
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = last.then(work);
    last = result.catch(() => undefined); // Told to who waits for the result.
    return result;
  };
  const ready = openReady(facts, { slots, leads, guess: () => newest, inTurn });
  const peers = openPeers(names.table, memory);
  const shown = ({ name, address }: Place, { isBuild }: { isBuild: boolean }): LeasedNetwork => ({
    name,
    address,
    // Names of apps are none of a build's business.
    resolvers: [...(isBuild ? [] : [nameServer]), ...nameServers].slice(0, RESOLVERS_MAX),
  });
  const take = async (egress: Egress, isBuild: boolean): Promise<LeasedNetwork> => {
    const taken = await ready.take();
    const chain = egressChain(egress);
    const before = memory.read();
    memory.update({
      leases: [...before.leases, { slot: taken.slot, isBuild, chain: chain.name }],
      egress: { ...before.egress, [chain.name]: egress },
    });
    if (!isBuild) newest = chain;
    ready.refill({ soon: false });
    try {
      if (isBuild || !leads.isLed(taken.address, chain))
        await inTurn(async () => {
          await leads.lead(taken.address, chain);
          if (isBuild) await builders('add', taken.address);
        });
    } catch (error) {
      giveBack({ slot: taken.slot, isBuild: false, chain: chain.name });
      throw new SandboxError(`the rules of a network could not be set: ${(error as Error).message}`, { cause: error });
    }
    return shown(taken, { isBuild });
  };
  const lease = (name: string) => memory.read().leases.find(({ slot }) => place(slot).name === name);
  const builders = (does: 'add' | 'delete', address: string): Promise<string> =>
    nft(does, 'element', 'inet', names.table, 'builders', `{ ${address} }`);
  const giveBack = ({ slot, isBuild }: Lease): void => {
    const { leases, released, egress } = memory.read();
    const kept = leases.filter(other => other.slot !== slot);
    memory.update({
      leases: kept,
      egress: Object.fromEntries(Object.entries(egress).filter(([name]) => kept.some(({ chain }) => chain === name))),
      released: [...released, [slot, now()]],
    });
    const { name, address } = place(slot);
    // Not waited for: nobody uses it any more, and what is left by our death the next process takes away.
    void inTurn(async () => {
      await removeNamespaces([name], names);
      slots.giveBack(slot);
      await leads.forget(address);
      if (isBuild) await builders('delete', address);
    }).catch((error: unknown) => log.warn({ err: error }, `the network ${name} could not be taken away`));
  };
  ready.refill({ soon: true });

  return {
    lease: egress => take(egress, false),
    leaseForBuild: egress => take(egress, true),
    take: async name => {
      const known = lease(name);
      if (known === undefined) throw new SandboxError(`the network ${name} is gone`);
      return shown(place(known.slot), known);
    },
    release: async name => {
      const known = lease(name);
      if (known !== undefined) giveBack(known);
    },
    nameServer,
    connect: (peerings, doors = []) => peers.connect(peerings, doors),
    known: () => memory.read().leases.map(each => shown(place(each.slot), each)),
    close: async ({ remove }) => {
      await ready.stop();
      await last;
      await peers.settled();
      if (!remove) return;
      await removeNamespaces(namespacesNamed(names.namespace), names);
      await removeRest();
    },
  };
}
