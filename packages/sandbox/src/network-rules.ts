/**
 * What sandboxes may reach, as one nftables file: loaded whole or not at all. Refused whatever else is said are the host itself but for the ports that the
 * operator names, other sandboxes of this machine but for those that network policies name, and link-local and other special addresses (with them every
 * cloud's metadata service), but for the holes that the operator asked for. Past that each sandbox's own chain lets through what its security groups name, and
 * what none names is refused.
 */
import { NEVER_OPENED } from '@cupola/model/egress';
import type { Peering } from '@cupola/model/peers';
import { type Cidr, formatCidr } from './cidr.ts';
import { addresses, type EgressChain } from './egress-chains.ts';
import { peerElements, peeringChains } from './peering-chains.ts';

/** An address or network that may be reached though it is private: a registry, a proxy, a database of the operator's. */
export interface Hole {
  cidr: string;
  /** TCP port; all of them, and other protocols, where it is not given. */
  port?: number;
}

export interface RuleFacts {
  table: string;
  /** What the host's ends of the pairs are called: this and a number. */
  linkPrefix: string;
  block: Cidr;
  /** Where all platforms of this machine have their blocks. */
  whole: Cidr;
  nameServers: string[];
  /** Address of the platform's own, on this host. */
  nameServer: string;
  holes: Hole[];
  /** TCP ports of this machine that security groups may open: a database of the operator's. */
  hostPorts: number[];
  /** For builds only: the operator's registries and proxies. */
  buildHoles: Hole[];
  /** Addresses that builds have now. */
  builders: string[];
  /** Of the sandboxes that are there, each once. */
  chains: EgressChain[];
  /** Which of them counts for an address. */
  egress: Array<{ address: string; chain: string }>;
  /** Which sandboxes reach which others. */
  peerings: readonly Peering[];
  /** How they reach those of other machines. */
  doors: readonly Door[];
  /** Addresses that stand for sandboxes of other machines; null: none do. */
  standIns: Cidr | null;
  /** The host's end of each pair there may be, with the one address that packets from it have. */
  ends: ReadonlyArray<{ link: string; address: string }>;
}

/** What one sandbox sends to a port of a stand-in is taken to a door: an address and port of this host where somebody listens who passes it on. */
export interface Door {
  from: string;
  to: string;
  port: number;
  door: string;
  doorPort: number;
}

/** Instead of all that the map held. */
export const peersText = (table: string, peerings: readonly Peering[]): string =>
  mapText(table, 'peers', peerElements(peerings));
export const doorsText = (table: string, doors: readonly Door[]): string =>
  mapText(table, 'doors', doorElements(doors));
const doorElements = (doors: readonly Door[]): string[] =>
  doors.map(({ from, to, port, door, doorPort }) => `${from} . ${to} . ${port} : ${door} . ${doorPort}`);
function mapText(table: string, map: string, elements: readonly string[]): string {
  const added = elements.length === 0 ? '' : `add element inet ${table} ${map} { ${elements.join(', ')} }\n`;
  return `flush map inet ${table} ${map}\n${added}`;
}

/** What is done for one address while the table stands. Names of chains are ours, addresses have been made by us. */
export const chainText = (table: string, chain: EgressChain): string => `table inet ${table} {\n${chainBody(chain)}}\n`;
const chainBody = ({ name, lines }: EgressChain): string =>
  `  chain ${name} {\n${lines.map(line => `    ${line}\n`).join('')}  }\n`;
export const dropChainText = (table: string, name: string): string => `delete chain inet ${table} ${name}\n`;
export const leadText = (table: string, address: string, chain: string): string =>
  `add element inet ${table} egress { ${address} : jump ${chain} }\n`;
export const forgetText = (table: string, address: string): string =>
  `delete element inet ${table} egress { ${address} }\n`;

/**
 * Neighbours are refused by a reset, which a client hears at once: what ICMP says of a connection that has just begun, Linux believes at the second try, 1 s
 * later. The outside is refused by ICMP, which tells a rule from a port where nobody listens. What is too long for a datagram of the platform's name server is
 * asked by TCP: that is the host's server's to answer, since names of apps are not long. Of a stand-in a sandbox reaches what a door leads to, and nobody but
 * sandboxes reaches any.
 *
 * Pure. Addresses in it must have been parsed: it becomes text for nft.
 */
export function networkRules(facts: RuleFacts): string {
  const {
    table,
    linkPrefix,
    block,
    whole,
    nameServers,
    nameServer,
    holes,
    hostPorts,
    buildHoles,
    builders,
    chains,
    egress,
    peerings,
    doors,
    standIns,
    ends,
  } = facts;
  const far = (rule: (cidr: string) => string): string => (standIns === null ? '' : rule(formatCidr(standIns)));
  const link = `"${linkPrefix}*"`;
  const hole = ({ cidr, port }: Hole): string =>
    `ip daddr ${cidr} ${port === undefined ? '' : `tcp dport ${port} `}accept`;
  const elements = (list: string[]): string => (list.length === 0 ? '' : `elements = { ${list.join(', ')} }`);
  return `table inet ${table}
delete table inet ${table}
table inet ${table} {
  set refused {
    type ipv4_addr
    flags interval
    auto-merge
    ${elements([...NEVER_OPENED.map(addresses), formatCidr(whole)])}
  }
  set builders {
    type ipv4_addr
    ${elements(builders)}
  }
${[...chains, ...peeringChains(peerings)].map(chainBody).join('')}  map egress {
    type ipv4_addr : verdict
    ${elements(egress.map(({ address, chain }) => `${address} : jump ${chain}`))}
  }
  set ends {
    type ifname . ipv4_addr
    ${elements(ends.map(({ link: end, address }) => `"${end}" . ${address}`))}
  }
  map peers {
    type ipv4_addr . ipv4_addr : verdict
    ${elements(peerElements(peerings))}
  }
  map doors {
    type ipv4_addr . ipv4_addr . inet_service : ipv4_addr . inet_service
    ${elements(doorElements(doors))}
  }
  chain holes {
    ${nameServers.map(address => `ip daddr ${address} meta l4proto { tcp, udp } th dport 53 accept`).join('\n    ')}
    ${holes.map(hole).join('\n    ')}
    ${buildHoles.map(each => `ip saddr @builders ${hole(each)}`).join('\n    ')}
  }
  chain outward {
    iifname . ip saddr != @ends drop
    ct state established,related accept
    tcp flags syn tcp option maxseg size set rt mtu
    jump holes
    ip saddr . ip daddr vmap @peers
    ip daddr ${formatCidr(whole)} meta l4proto tcp reject with tcp reset
    ip daddr @refused reject with icmpx admin-prohibited
    ip saddr vmap @egress
    reject with icmpx admin-prohibited
  }
  chain to_host {
    iifname . ip saddr != @ends drop
    ct state established,related accept
    ip daddr ${nameServer} udp dport 53 accept
    ${far(cidr => `ip daddr ${cidr} ct status dnat accept`)}
    ${far(cidr => `ip daddr ${cidr} meta l4proto tcp reject with tcp reset`)}
    jump holes
    ip daddr @refused reject with icmpx admin-prohibited
    ${hostPorts.length === 0 ? '' : `tcp dport { ${hostPorts.join(', ')} } ip saddr vmap @egress`}
    reject with icmpx admin-prohibited
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname ${link} goto outward
    oifname ${link} ct state established,related accept
    oifname ${link} reject with icmpx admin-prohibited
  }
  chain input {
    type filter hook input priority filter; policy accept;
    iifname ${link} goto to_host
    ip daddr ${nameServer} iifname != "lo" drop
    ${far(cidr => `ip daddr ${cidr} ip daddr != ${nameServer} drop`)}
  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    ${nameServers
      .slice(0, 1)
      .map(address => `iifname ${link} ip daddr ${nameServer} tcp dport 53 dnat ip to ${address}`)
      .join('')}
    iifname ${link} dnat ip to ip saddr . ip daddr . tcp dport map @doors
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${formatCidr(block)} oifname != ${link} masquerade
  }
}
`;
}
