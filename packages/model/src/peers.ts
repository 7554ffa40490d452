/**
 * What apps reach of each other: the sandboxes that network policies lead to each other, and the names of instances on internal domains. Policies and names
 * are desired state; where instances are is what a cell knows itself. Pure.
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
