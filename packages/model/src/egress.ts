/**
 * What instances may reach: the rules of security groups, parsed, merged, and counted. What no rule names is refused, and some addresses are refused
 * whatever a rule says. Addresses are numbers, spans have both ends; nothing here knows how a machine enforces it.
 */

/** One rule of a security group as Cloud Foundry's API has it; its texts have been checked (`@cupola/contract/v3/security-group`). */
export interface SecurityRule {
  protocol: 'tcp' | 'udp' | 'icmp' | 'all';
  /** `10.0.0.0/8`, `10.1.2.3`, `10.0.0.1-10.0.0.9`, or several of them with commas between. */
  destination: string;
  /** `443`, `80,443` or `1-1024`; for TCP and UDP alone. */
  ports?: string | null;
  /** -1 is any; for ICMP alone. */
  type?: number | null;
  code?: number | null;
  description?: string | null;
  log?: boolean | null;
}

export type Span = [first: number, last: number];

/** What is let through, as a machine needs it: spans are sorted and do not touch. */
export interface EgressRule {
  protocol: SecurityRule['protocol'];
  destinations: Span[];
  /** Of TCP and UDP. */
  ports?: Span[];
  /** Of ICMP; -1 is any. */
  icmp?: { type: number; code: number };
  /** New connections are put on record. */
  log?: true;
}

export const ADDRESS_MAX = 2 ** 32 - 1;

/** An IPv4 address as a number; null for what is none. Octets have no leading zeros: what they mean is not sure. */
export function addressOf(text: string): number | null {
  const octets = text.split('.');
  if (octets.length !== 4 || !octets.every(octet => /^(0|[1-9]\d{0,2})$/.test(octet) && Number(octet) <= 255))
    return null;
  return octets.reduce((sum, octet) => sum * 256 + Number(octet), 0);
}

/** `10.0.0.0/8` or one address; host bits are cut off. Null for what is neither. */
export function networkSpan(text: string): Span | null {
  const [address = '', bits = '32', ...more] = text.split('/');
  const value = addressOf(address);
  if (value === null || more.length > 0 || !/^\d{1,2}$/.test(bits) || Number(bits) > 32) return null;
  const size = 2 ** (32 - Number(bits));
  const first = value - (value % size);
  return [first, first + size - 1];
}

/** One destination of a rule; null for what is none, or has its ends the wrong way round. */
function destinationSpan(text: string): Span | null {
  const [first = '', last, ...more] = text.split('-');
  if (last === undefined) return networkSpan(first);
  const [from, to] = [addressOf(first), addressOf(last)];
  return from === null || to === null || from > to || more.length > 0 ? null : [from, to];
}

/** Sorted, those that touch joined. */
export function joinSpans(spans: readonly Span[]): Span[] {
  const joined: Span[] = [];
  for (const [first, last] of spans.toSorted(([a], [b]) => a - b)) {
    const before = joined.at(-1);
    if (before !== undefined && first <= before[1] + 1) before[1] = Math.max(before[1], last);
    else joined.push([first, last]);
  }
  return joined;
}

function portSpans(ports: string): Span[] {
  return ports.split(',').map(part => {
    const [first = '', last = first] = part.split('-');
    return [Number(first), Number(last)];
  });
}

function ruleOf(rule: SecurityRule): EgressRule {
  const { protocol, destination, ports, type, code, log } = rule;
  const isIcmp = protocol === 'icmp';
  return {
    protocol,
    destinations: destination.split(',').flatMap(text => {
      const span = destinationSpan(text);
      return span === null ? [] : [span];
    }),
    ...(typeof ports === 'string' && (protocol === 'tcp' || protocol === 'udp')
      ? { ports: joinSpans(portSpans(ports)) }
      : {}),
    ...(isIcmp ? { icmp: { type: type ?? -1, code: code ?? -1 } } : {}),
    ...(log === true ? { log: true as const } : {}),
  };
}

/** What a connection must have in common to be let through by one rule. */
const kindOf = ({ protocol, ports, icmp, log }: EgressRule): string => JSON.stringify([protocol, ports, icmp, log]);

/**
 * All that these rules together let through: one for each kind, in an order that does not depend on theirs. Those on record come first, so that an
 * overlap with others is on record too (CF: egress_rules.rb orders them to that end).
 */
export function egressOf(rules: readonly SecurityRule[]): EgressRule[] {
  const byKind = Map.groupBy(rules.map(ruleOf), kindOf);
  const merged = [...byKind].map(([kind, alike]) => ({
    kind,
    rule: { ...(alike[0] as EgressRule), destinations: joinSpans(alike.flatMap(({ destinations }) => destinations)) },
  }));
  const rank = ({ kind, rule }: (typeof merged)[number]): string => `${rule.log === true ? 0 : 1}${kind}`;
  return merged.sort((a, b) => (rank(a) < rank(b) ? -1 : 1)).map(({ rule }) => rule);
}

/** What a machine has to hold for them. */
export function sizeOfEgress(rules: readonly EgressRule[]): number {
  return rules.reduce((sum, { destinations, ports = [] }) => sum + destinations.length + ports.length, 0);
}

const spans = (...networks: string[]): Span[] => joinSpans(networks.map(text => networkSpan(text) as Span));

/**
 * Refused to instances whatever a group says: this host and link-local networks (every cloud's metadata service), multicast and reserved ones, and the
 * metadata and host services of clouds that have other addresses (Alibaba, Oracle's former one, Azure's).
 */
export const NEVER_OPENED: readonly Span[] = spans(
  '0.0.0.0/8',
  '100.100.100.200',
  '127.0.0.0/8',
  '168.63.129.16',
  '169.254.0.0/16',
  '192.0.0.0/24',
  '224.0.0.0/3',
);

/** Destinations of a rule that stay refused all the same. */
export function neverOpened({ destination }: SecurityRule): string[] {
  return destination.split(',').filter(text => {
    const span = destinationSpan(text);
    return span !== null && NEVER_OPENED.some(([first, last]) => first <= span[0] && span[1] <= last);
  });
}

/**
 * Made at the first start, for all spaces (CF: cf-deployment's two). Beside private networks `public_networks` leaves out those shared by carriers and VPNs
 * (100.64.0.0/10) and those for benchmarks (198.18.0.0/15), which CF's does not: on one server they are as private as the others.
 */
export const DEFAULT_GROUPS: ReadonlyArray<{ name: string; rules: SecurityRule[] }> = [
  {
    name: 'public_networks',
    rules: [
      '0.0.0.0-9.255.255.255',
      '11.0.0.0-100.63.255.255',
      '100.128.0.0-169.253.255.255',
      '169.255.0.0-172.15.255.255',
      '172.32.0.0-192.167.255.255',
      '192.169.0.0-198.17.255.255',
      '198.20.0.0-255.255.255.255',
    ].map(destination => ({ protocol: 'all', destination })),
  },
  {
    name: 'dns',
    rules: (['tcp', 'udp'] as const).map(protocol => ({ protocol, destination: '0.0.0.0/0', ports: '53' })),
  },
];

/** What is let through where nobody has said: run specs and builds of before there were groups. */
export const DEFAULT_EGRESS: readonly EgressRule[] = egressOf(DEFAULT_GROUPS.flatMap(({ rules }) => rules));
