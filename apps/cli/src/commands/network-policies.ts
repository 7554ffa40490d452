/** network-policies, add-network-policy, remove-network-policy: which apps reach which, past the router. */
import type { CloudClient } from '@cupola/client/cloud-client';
import { type ReadApp, readApp, readOrganization, readSpace } from '@cupola/contract/v3/client-reads';
import { type NetworkPolicyBody, networkPoliciesAnswer } from '@cupola/contract/v3/network-policy';
import { usageError, WordedError } from '@cupola/push/failures';
import { type CliContext, findApp, type Named } from '../context.ts';
import { findOrganization, findSpace } from '../find.ts';

const POLICIES = '/networking/v1/external/policies';
/** What CF's own CLI asks for when nothing is said. */
const USUAL = { protocol: 'tcp', port: '8080' } as const;

type Destination = NetworkPolicyBody['destination'];

async function readPolicies(client: CloudClient, sources: readonly string[]): Promise<NetworkPolicyBody[]> {
  if (sources.length === 0) return [];
  const query = { source_id: sources.join(',') };
  return (await client.read(networkPoliciesAnswer, { path: POLICIES, query })).policies;
}

/** Of all apps of the targeted space, or of one. */
export async function networkPolicies(context: CliContext, { source }: { source?: string }): Promise<void> {
  const { space } = context.target();
  const client = context.client();
  const apps =
    source === undefined
      ? await client.all(readApp, '/v3/apps', { space_guids: space.guid })
      : [await findApp(context, source)];
  const guids = apps.map(({ guid }) => guid);
  const policies = await readPolicies(client, guids);
  const places = await placesOf(context, [...new Set(policies.map(({ destination }) => destination.id))]);
  const list = policies.map(policy => ({
    source: apps.find(({ guid }) => guid === policy.source.id)?.name ?? policy.source.id,
    destination: policy.destination.id,
    ...places.get(policy.destination.id),
    protocol: policy.destination.protocol,
    ports: portsText(policy.destination),
  }));
  const rows = list.map(one => [one.source, one.destination, one.protocol, one.ports, one.space ?? '', one.org ?? '']);
  const head = ['source', 'destination', 'protocol', 'ports', 'destination space', 'destination org'];
  context.result(
    { policies: list },
    rows.length === 0
      ? `no network policies in ${space.name}. Let one app reach another: cupola add-network-policy SOURCE DESTINATION`
      : context.table([head, ...rows]),
  );
}

interface Place {
  destination: string;
  space: string;
  org: string;
}

/** Name, space and organization of each app that one may see. */
async function placesOf(context: CliContext, guids: readonly string[]): Promise<Map<string, Place>> {
  if (guids.length === 0) return new Map();
  const client = context.client();
  const apps = await client.all(readApp, '/v3/apps', { guids: guids.join(',') });
  const spaceOf = ({ relationships }: ReadApp): string => relationships?.space?.data?.guid ?? '';
  const spaces = await client.all(readSpace, '/v3/spaces', { guids: [...new Set(apps.map(spaceOf))].join(',') });
  const organizations = await client.all(readOrganization, '/v3/organizations');
  return new Map(
    apps.map(app => {
      const space = spaces.find(({ guid }) => guid === spaceOf(app));
      const organization = organizations.find(({ guid }) => guid === space?.relationships?.organization?.data?.guid);
      return [app.guid, { destination: app.name, space: space?.name ?? '', org: organization?.name ?? '' }];
    }),
  );
}

export interface PolicyFlags {
  protocol?: string;
  port?: string;
  space?: string;
  organization?: string;
}

export async function addNetworkPolicy(
  context: CliContext,
  [source, destination]: readonly [string, string],
  flags: PolicyFlags,
): Promise<void> {
  const { policy, text } = await policyOf(context, [source, destination], flags);
  await context.client().act({ method: 'POST', path: POLICIES, json: { policies: [policy] } });
  context.result(
    { source, destination, ...policy.destination, added: true },
    `${text}. By which name, a route on an internal domain says: cupola map-route ${destination} apps.internal --hostname ${destination}`,
  );
}

export async function removeNetworkPolicy(
  context: CliContext,
  [source, destination]: readonly [string, string],
  flags: PolicyFlags,
): Promise<void> {
  const client = context.client();
  const { policy, text } = await policyOf(context, [source, destination], flags);
  const known = await readPolicies(client, [policy.source.id]);
  const isSame = ({ id, protocol, ports }: Destination): boolean =>
    id === policy.destination.id &&
    protocol === policy.destination.protocol &&
    ports.start === policy.destination.ports.start &&
    ports.end === policy.destination.ports.end;
  if (!known.some(one => isSame(one.destination)))
    throw new WordedError(`No policy says that ${text}.`, {
      next: `See which there are: cupola network-policies --source ${source}`,
    });
  await client.act({ method: 'POST', path: `${POLICIES}/delete`, json: { policies: [policy] } });
  context.result(
    { source, destination, ...policy.destination, removed: true },
    `No longer so: ${text}. Connections that stand go on until they end.`,
  );
}

/** With the words for it. @throws usage error: flags that do not go together. */
async function policyOf(
  context: CliContext,
  [source, destination]: readonly [string, string],
  { protocol, port, space, organization }: PolicyFlags,
): Promise<{ policy: NetworkPolicyBody; text: string }> {
  if ((protocol === undefined) !== (port === undefined))
    throw usageError(
      '--protocol and --port go together.',
      'Name both, or neither for TCP on 8080: --protocol tcp --port 8080',
    );
  if (organization !== undefined && space === undefined)
    throw usageError('-o needs the space too.', `Name it: -s SPACE -o ${organization}`);
  const wanted = { protocol: readProtocol(protocol ?? USUAL.protocol), ports: readPorts(port ?? USUAL.port) };
  const from = await findApp(context, source);
  const to =
    space === undefined
      ? await findApp(context, destination)
      : await findAppIn(context, destination, await findSpace(context, { organization, name: space }));
  const policy = { source: { id: from.guid }, destination: { id: to.guid, ...wanted } };
  const where = space === undefined ? '' : ` in ${space} of ${(await findOrganization(context, organization)).name}`;
  const ports = portsText(policy.destination);
  return { policy, text: `${source} may reach ${destination}${where} by ${wanted.protocol} on ${ports}` };
}

async function findAppIn(context: CliContext, name: string, space: Named): Promise<ReadApp> {
  const found = await context.client().first(readApp, '/v3/apps', { names: name, space_guids: space.guid });
  if (found !== null) return found;
  throw new WordedError(`App "${name}" was not found in space ${space.name}.`, {
    next: `See which there are: cupola target -s ${space.name} && cupola apps`,
  });
}

function readProtocol(text: string): Destination['protocol'] {
  const protocol = text.toLowerCase();
  if (protocol === 'tcp' || protocol === 'udp') return protocol;
  throw usageError(`There is no protocol ${text}.`, 'Write --protocol tcp or --protocol udp');
}

/** `8080` or `8080-8090`; which ones there may be is the API's to judge. */
function readPorts(text: string): Destination['ports'] {
  const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  if (first === undefined) throw usageError(`--port ${text} is no port.`, 'Write --port 8080, or --port 8080-8090');
  return { start: Number(first), end: Number(last) };
}

function portsText({ ports: { start, end } }: Destination): string {
  return start === end ? String(start) : `${start}-${end}`;
}
