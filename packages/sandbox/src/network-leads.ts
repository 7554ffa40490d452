/** Which chain of rules each sandbox's address is led to, as the table of the host has it. Its writes must come one after the other. */
import type { EgressChain } from './egress-chains.ts';
import { chainText, dropChainText, forgetText, leadText } from './network-rules.ts';
import { loadRules } from './network-tools.ts';

export interface Leads {
  isLed(address: string, chain: EgressChain): boolean;
  /** The chain is made where it is new. */
  lead(address: string, chain: EgressChain): Promise<void>;
  /** With its chain, unless others are led there. */
  forget(address: string): Promise<void>;
}

/** @param led address and chain of what the table has already. */
export function openLeads(table: string, led: Map<string, string>): Leads {
  const isLed = (address: string, chain: EgressChain): boolean => led.get(address) === chain.name;
  const isMade = (chain: string, { except }: { except: string }): boolean =>
    [...led].some(([address, name]) => name === chain && address !== except);
  const forgotten = (address: string): string => {
    const chain = led.get(address);
    if (chain === undefined) return '';
    return forgetText(table, address) + (isMade(chain, { except: address }) ? '' : dropChainText(table, chain));
  };
  return {
    isLed,
    lead: async (address, chain) => {
      if (isLed(address, chain)) return;
      const made = isMade(chain.name, { except: address }) ? '' : chainText(table, chain);
      await loadRules(made + forgotten(address) + leadText(table, address, chain.name));
      led.set(address, chain.name);
    },
    forget: async address => {
      const text = forgotten(address);
      if (text !== '') await loadRules(text);
      led.delete(address);
    },
  };
}
