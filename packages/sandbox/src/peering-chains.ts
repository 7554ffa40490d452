/**
 * Which sandboxes reach which others, as nftables has it: a chain for each set of ports, and a map that leads from two addresses to their chain. A packet
 * costs one look into a hash, however many pairs there are. Pure.
 */
import { createHash } from 'node:crypto';
import type { Span } from '@cupola/model/egress';
import type { Peering } from '@cupola/model/peers';
import type { EgressChain } from './egress-chains.ts';

function peeringChain({ tcp, udp }: Peering): EgressChain {
  const line = (protocol: string, spans: readonly Span[]): string[] =>
    spans.length === 0 ? [] : [`${protocol} dport { ${spans.map(ports).join(', ')} } accept`];
  const lines = [...line('tcp', tcp), ...line('udp', udp)];
  return { name: `peers_${createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 12)}`, lines };
}

const ports = ([first, last]: Span): string => (first === last ? `${first}` : `${first}-${last}`);

/** Each once. */
export const peeringChains = (peerings: readonly Peering[]): EgressChain[] => [
  ...new Map(peerings.map(peeringChain).map(chain => [chain.name, chain])).values(),
];

/** Of the map, each pair once. */
export function peerElements(peerings: readonly Peering[]): string[] {
  const chains = new Map<string, string>();
  for (const peering of peerings) {
    const { name } = peeringChain(peering);
    for (const from of peering.from) for (const to of peering.to) if (from !== to) chains.set(`${from} . ${to}`, name);
  }
  return [...chains].map(([pair, chain]) => `${pair} : jump ${chain}`);
}
