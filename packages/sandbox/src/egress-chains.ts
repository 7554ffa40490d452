/**
 * What is let through for one sandbox, as a chain of nftables. Sandboxes with the same rules share one, named for what it says; a map of the table leads
 * from a sandbox's address to its chain. Pure.
 */
import { createHash } from 'node:crypto';
import { ADDRESS_MAX, DEFAULT_EGRESS, type EgressRule, type Span } from '@cupola/model/egress';
import { formatAddress } from './cidr.ts';

/** What a sandbox may reach. */
export interface Egress {
  rules: readonly EgressRule[];
  /** Marks what is put on record: letters, digits and dashes. */
  label: string;
}

export const defaultEgress: Egress = { rules: DEFAULT_EGRESS, label: '' };

export interface EgressChain {
  name: string;
  /** Its rules, one a line. */
  lines: string[];
}

export function egressChain({ rules, label }: Egress): EgressChain {
  const lines = rules.filter(({ destinations }) => destinations.length > 0).flatMap(rule => linesOf(rule, label));
  const name = `egress_${createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 12)}`;
  return { name, lines };
}

/** New connections a second that go on record, for each set of rules: the kernel's log is everybody's (CF limits them too). */
const LOGGED_A_SECOND = 10;

function linesOf(rule: EgressRule, label: string): string[] {
  const match = [`ip daddr { ${rule.destinations.map(addresses).join(', ')} }`, ...protocolMatch(rule)];
  const accept = [...match, 'accept'].join(' ');
  if (rule.log !== true) return [accept];
  const prefix = `cupola ${label.replaceAll(/[^A-Za-z0-9-]/g, '')} `;
  return [
    `${match.join(' ')} limit rate ${LOGGED_A_SECOND}/second burst ${2 * LOGGED_A_SECOND} packets log prefix "${prefix}" level info`,
    accept,
  ];
}

function protocolMatch({ protocol, ports = [], icmp }: EgressRule): string[] {
  if (protocol === 'all') return [];
  if (protocol === 'icmp') {
    const { type, code } = icmp ?? { type: -1, code: -1 };
    return [
      'meta l4proto icmp',
      ...(type === -1 ? [] : [`icmp type ${type}`]),
      ...(code === -1 ? [] : [`icmp code ${code}`]),
    ];
  }
  return [
    `${protocol} dport { ${ports.map(([first, last]) => (first === last ? first : `${first}-${last}`)).join(', ')} }`,
  ];
}

/** As elements of nftables' sets. */
export const addresses = ([first, last]: Span): string => {
  if (first === 0 && last === ADDRESS_MAX) return '0.0.0.0/0';
  return first === last ? formatAddress(first) : `${formatAddress(first)}-${formatAddress(last)}`;
};
