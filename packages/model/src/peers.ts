/**
 * What apps reach of each other: the sandboxes that network policies lead to each other, and the names of instances on internal domains. Policies and names
 * are desired state; where instances of its own are is what a cell knows itself, and where others are the API tells it. Pure.
 */
import { joinSpans, type Span } from './egress.ts';

/** Instances of one app reach those of another on these ports. */
export interface NetworkPolicy {
  sourceAppGuid: string;
  destinationAppGuid: string;
  protocol: 'tcp' | 'udp';
  ports: Span;
}

/** An instance or a task that has an address. */
export interface Located {
  appGuid: string;
  processType: string;
  index: number;
  address: string;
  /** Answers, as far as probes tell. */
  isHealthy: boolean;
}

/** Each of these addresses reaches each of those on these ports. */
export interface Peering {
  from: string[];
  to: string[];
  tcp: Span[];
  udp: Span[];
}

/** One for each pair of apps that both run here, in an order that depends on policies and places alone. */
export function peeringsOf(policies: readonly NetworkPolicy[], located: readonly Located[]): Peering[] {
  const byApp = Map.groupBy(located, ({ appGuid }) => appGuid);
  const addresses = (appGuid: string): string[] => (byApp.get(appGuid) ?? []).map(({ address }) => address).sort();
  const byPair = Map.groupBy(policies, policy => `${policy.sourceAppGuid} ${policy.destinationAppGuid}`);
  return [...byPair]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, alike]) => {
      const [{ sourceAppGuid, destinationAppGuid } = { sourceAppGuid: '', destinationAppGuid: '' }] = alike;
      const [from, to] = [addresses(sourceAppGuid), addresses(destinationAppGuid)];
      if (from.length === 0 || to.length === 0) return [];
      const spans = (wanted: NetworkPolicy['protocol']): Span[] =>
        joinSpans(alike.flatMap(({ protocol, ports: [first, last] }) => (protocol === wanted ? [[first, last]] : [])));
      return [{ from, to, tcp: spans('tcp'), udp: spans('udp') }];
    });
}

/** An instance or a task on another machine. */
export interface Distant {
  guid: string;
  appGuid: string;
  /** Null: a task. */
  processType: string | null;
  index: number;
  cellId: string;
  isHealthy: boolean;
}

/** These addresses reach that instance of another machine on these ports, by TCP. */
export interface Passage {
  from: string[];
  to: Distant;
  ports: number[];
}

/** Each takes an address on the source's machine (`Networks.standIns`); of a longer span those from its first on are carried. Ours. */
export const PASSAGE_PORTS_MAX = 64;

/** One for each app that runs here and each instance elsewhere that a policy lets it reach, in an order that depends on policies and places alone. */
export function passagesOf(
  policies: readonly NetworkPolicy[],
  located: readonly Located[],
  distant: readonly Distant[],
): Passage[] {
  const byGuid = new Map(distant.map(one => [one.guid, one]));
  const here = new Set(located.map(({ address }) => address));
  // As if they were here, at an address that is their guid.
  const elsewhere = distant.map(one => ({ ...one, processType: '', address: one.guid }));
  return peeringsOf(policies, [...located, ...elsewhere]).flatMap(peering => {
    const from = peering.from.filter(address => here.has(address));
    const ports = firstPorts(peering.tcp);
    if (from.length === 0 || ports.length === 0) return [];
    return peering.to.flatMap(guid => {
      const to = byGuid.get(guid);
      return to === undefined ? [] : [{ from, to, ports }];
    });
  });
}

function firstPorts(spans: readonly Span[]): number[] {
  const ports: number[] = [];
  for (const [first, last] of spans)
    for (let port = first; port <= last && ports.length < PASSAGE_PORTS_MAX; port++) ports.push(port);
  return ports;
}

/** Whether a policy lets instances of the one app reach those of the other there, by TCP. */
export const isOpen = (
  policies: readonly NetworkPolicy[],
  { sourceAppGuid, destinationAppGuid, port }: { sourceAppGuid: string; destinationAppGuid: string; port: number },
): boolean =>
  policies.some(
    policy =>
      policy.sourceAppGuid === sourceAppGuid &&
      policy.destinationAppGuid === destinationAppGuid &&
      policy.protocol === 'tcp' &&
      policy.ports[0] <= port &&
      port <= policy.ports[1],
  );

/** A route on an internal domain: a name that leads to instances, not to the router. */
export interface InternalRoute {
  /** Host and domain, lower case. */
  name: string;
  destinations: Array<{ appGuid: string; processType: string }>;
}

export interface Names {
  /** Internal domains, lower case. */
  domains: ReadonlySet<string>;
  routes: ReadonlyMap<string, InternalRoute>;
}

export const namesOf = (domains: readonly string[], routes: readonly InternalRoute[]): Names => ({
  domains: new Set(domains),
  routes: new Map(routes.map(route => [route.name, route])),
});

/** What a name leads to: all instances of its route, or one index of them. */
export interface Found {
  route: InternalRoute;
  index: number | null;
}

/** `unknown` where nobody has a name of ours, `elsewhere` where it is not ours to know. Takes no longer than the name is. */
export function findName(asked: string, { domains, routes }: Names): Found | 'unknown' | 'elsewhere' {
  const name = asked.toLowerCase().replace(/\.$/, '');
  if (!isWithin(name, domains)) return 'elsewhere';
  const whole = routes.get(name);
  if (whole !== undefined) return { route: whole, index: null };
  // Of one instance (CF: bosh-dns-adapter).
  const [, index, rest = ''] = /^(\d{1,5})\.(.+)$/.exec(name) ?? [];
  const route = routes.get(rest);
  return route === undefined ? 'unknown' : { route, index: Number(index) };
}

function isWithin(name: string, domains: ReadonlySet<string>): boolean {
  for (let rest = name; ; ) {
    if (domains.has(rest)) return true;
    const dot = rest.indexOf('.');
    if (dot < 0) return false;
    rest = rest.slice(dot + 1);
  }
}

/** Where the healthy instances are that a name leads to. */
export const addressesOf = ({ route, index }: Found, located: readonly Located[]): string[] =>
  located
    .filter(
      copy =>
        copy.isHealthy &&
        (index === null || copy.index === index) &&
        route.destinations.some(to => to.appGuid === copy.appGuid && to.processType === copy.processType),
    )
    .map(({ address }) => address);
