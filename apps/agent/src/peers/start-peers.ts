/** What instances of this cell have of each other: who reaches whom, and by which names. Nothing where they share the host's network. */
import { readNameServers } from '@cupola/sandbox/name-servers';
import type { Networks } from '@cupola/sandbox/networks';
import type { Logger } from 'pino';
import type { Copy } from '../copies/copy.ts';
import { followFeed } from '../session/feed.ts';
import type { InternalApi } from '../session/internal-api.ts';
import { type Gate, type GateDeps, startGate } from './gate.ts';
import { type NameServer, type NameServerOptions, startNameServer } from './name-server.ts';
import { createPeers, type Peers } from './peers.ts';
import { createUpstream } from './upstream.ts';

export interface PeerService extends AsyncDisposable, Pick<Peers, 'peerAddressOf'> {
  /** What runs here is known: from then on what instances send to other machines is heard. */
  open(): Promise<void>;
  /** Policies or copies may have changed. */
  look(): void;
  /** Hears of policies and names until `signal` is aborted. */
  follow(api: InternalApi, signal: AbortSignal): Promise<void>;
}

interface Deps {
  networks: Networks | null;
  /** As whom agents of other machines are dialled, and where is heard what instances send there; null: there are none. */
  gate: Pick<GateDeps, 'identity' | 'listen'> | null;
  cellId: string;
  folder: string;
  copies(): readonly Copy[];
  monotonic(): number;
  log: Logger;
}

export async function startPeers({ networks, gate: wanted, ...deps }: Deps): Promise<PeerService> {
  if (networks === null)
    return {
      look: () => undefined,
      open: async () => undefined,
      peerAddressOf: () => null,
      follow: async () => undefined,
      [Symbol.asyncDispose]: async () => undefined,
    };
  const { monotonic, log } = deps;
  let gate: Gate | null = null;
  const peers = createPeers({ ...deps, networks, doorPort: () => gate?.port ?? null });
  const upstream = createUpstream(readNameServers().map(address => ({ address, port: 53 })));
  const { lookUp } = peers;
  const names = await serveNames({ address: networks.nameServer, port: 53, lookUp, upstream, monotonic, log });
  const feed = { path: '/internal/peers/watch', what: 'network policies', connected: () => undefined };
  const said: Peers['said'] = line => {
    peers.said(line);
    gate?.keepCells(peers.cells());
  };
  return {
    look: peers.look,
    open: async () => {
      if (wanted !== null) gate = await startGate({ ...wanted, wayOf: peers.wayOf, log });
      peers.look();
    },
    peerAddressOf: peers.peerAddressOf,
    follow: (api, signal) => followFeed({ ...feed, api, said, log }, signal),
    [Symbol.asyncDispose]: async () => {
      await gate?.[Symbol.asyncDispose]();
      await names?.[Symbol.asyncDispose]();
      await peers.settled();
    },
  };
}

/** Names of apps are a service to them, not a condition: where somebody else listens on that port, the rest goes on. */
async function serveNames(options: NameServerOptions): Promise<NameServer | null> {
  try {
    return await startNameServer(options);
  } catch (error) {
    options.log.error(
      { err: error },
      `names on internal domains are unknown to apps: UDP port ${options.port} of ${options.address} is taken. Let the name server of this machine listen on its own addresses alone (dnsmasq: bind-interfaces), then ./cupola restart.`,
    );
    return null;
  }
}
