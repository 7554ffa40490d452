/**
 * Which sandboxes reach which others, as the table of the host has it: replaced whole at each change, since one transaction is as dear as another: which
 * sandboxes of here, and by which doors those of other machines.
 */
import type { Peering } from '@cupola/model/peers';
import type { Memory } from './network-memory.ts';
import { chainText, type Door, doorsText, dropChainText, peersText } from './network-rules.ts';
import { loadRules } from './network-tools.ts';
import { peeringChains } from './peering-chains.ts';

export interface Peers {
  connect(peerings: readonly Peering[], doors: readonly Door[]): Promise<void>;
  /** Resolves when the table has what was asked last. */
  settled(): Promise<void>;
}

/** The memory says what the table has at first. Nobody else waits while a long list is loaded: these rules touch none of the others. */
export function openPeers(table: string, memory: Memory): Peers {
  let loaded = memory.read().peerings;
  let { doors: open } = memory.read();
  let last: Promise<unknown> = Promise.resolve();
  const load = async (peerings: readonly Peering[], doors: readonly Door[]): Promise<void> => {
    if (JSON.stringify([loaded, open]) === JSON.stringify([peerings, doors])) return;
    const [before, after] = [peeringChains(loaded), peeringChains(peerings)];
    const isIn = (chains: typeof after, name: string): boolean => chains.some(chain => chain.name === name);
    const added = after.filter(({ name }) => !isIn(before, name)).map(chain => chainText(table, chain));
    const gone = before.filter(({ name }) => !isIn(after, name)).map(({ name }) => dropChainText(table, name));
    await loadRules([...added, peersText(table, peerings), doorsText(table, doors), ...gone].join(''));
    loaded = peerings;
    open = doors;
    memory.update({ peerings, doors });
  };
  return {
    connect: (peerings, doors) => {
      const result = last.then(() => load(peerings, doors));
      last = result.catch(() => undefined); // Told to who waits for the result.
      return result;
    },
    settled: async () => void (await last),
  };
}
