/** The port `Certificates`: what a TLS door shows for a server name. Adapters: the own CA, the operator's files. */

/** PEM texts. `cert` is the leaf first, then what leads to its root. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

export interface Certificates {
  /**
   * The certificate for that name, in lower case and without a dot at its end; null: the client named none. Null when this source has none for it.
   * The same object as long as it is the same certificate, so that a caller may keep what it made of it.
   */
  pairFor(serverName: string | null): Promise<Pair | null>;
}

/** The first of `sources` that has a certificate for the name. */
export function firstOf(sources: readonly Certificates[]): Certificates {
  return {
    pairFor: async serverName => {
      for (const source of sources) {
        const pair = await source.pairFor(serverName);
        if (pair !== null) return pair;
      }
      return null;
    },
  };
}
