/**
 * What sandboxes may reach, as one nftables file: loaded whole or not at all. Denied are private, link-local (with it every cloud's metadata service) and
 * special networks, and every address of the host itself; allowed are the public internet, the name servers, and the holes that the operator asked for.
 */
import { type Cidr, formatCidr } from './cidr.ts';

/** An address or network that may be reached though it is private: a registry, a proxy, a database of the operator's. */
export interface Hole {
  cidr: string;
  /** TCP port; all of them, and other protocols, where it is not given. */
  port?: number;
}

/** Not the public internet (RFC 6890 and the multicast and reserved space above). Networks for documentation are left out: some places use them as public ones. */
const DENIED = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '224.0.0.0/3',
];

export interface RuleFacts {
  table: string;
  /** What the host's ends of the pairs are called: this and a number. */
  linkPrefix: string;
  block: Cidr;
  nameServers: string[];
  holes: Hole[];
  /** For builds only: the operator's registries and proxies. */
  buildHoles: Hole[];
  /** Addresses that builds have now. */
  builders: string[];
}

/** Pure. Addresses in it must have been parsed: it becomes text for nft. */
export function networkRules(facts: RuleFacts): string {
  const { table, linkPrefix, block, nameServers, holes, buildHoles, builders } = facts;
  const link = `"${linkPrefix}*"`;
  const hole = ({ cidr, port }: Hole): string =>
    `ip daddr ${cidr} ${port === undefined ? '' : `tcp dport ${port} `}accept`;
  const elements = (list: string[]): string => (list.length === 0 ? '' : `elements = { ${list.join(', ')} }`);
  return `table inet ${table}
delete table inet ${table}
table inet ${table} {
  set denied {
    type ipv4_addr
    flags interval
    auto-merge
    ${elements([...DENIED, formatCidr(block)])}
  }
  set builders {
    type ipv4_addr
    ${elements(builders)}
  }
  chain holes {
    ${nameServers.map(address => `ip daddr ${address} meta l4proto { tcp, udp } th dport 53 accept`).join('\n    ')}
    ${holes.map(hole).join('\n    ')}
    ${buildHoles.map(each => `ip saddr @builders ${hole(each)}`).join('\n    ')}
  }
  chain outward {
    ct state established,related accept
    ip saddr != ${formatCidr(block)} drop
    tcp flags syn tcp option maxseg size set rt mtu
    jump holes
    ip daddr @denied reject with icmpx admin-prohibited
    meta nfproto ipv4 accept
    reject with icmpx admin-prohibited
  }
  chain to_host {
    ct state established,related accept
    jump holes
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
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${formatCidr(block)} oifname != ${link} masquerade
  }
}
`;
}
