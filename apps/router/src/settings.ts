import { ROUTER_LIMITS } from '@cupola/model/limits';

/** Every limit of the router, by default those of `ROUTER_LIMITS`; tests make them small. */
export type RouterSettings = { readonly [Name in keyof typeof ROUTER_LIMITS]: number } & {
  /** Largest request body in bytes; null is no limit, as in CF. */
  readonly bodyMaxBytes: number | null;
  /** Connections for each client address; null is no limit, since clients may share one address behind a balancer. */
  readonly connectionsPerAddressMax: number | null;
  /**
   * `max-age` of a Strict-Transport-Security header on answers over TLS whose app sets none; null sends none, as gorouter: with the own CA a browser that
   * remembered it could not be talked past a warning.
   */
  readonly hstsSeconds: number | null;
};

export const DEFAULT_SETTINGS: RouterSettings = {
  ...ROUTER_LIMITS,
  bodyMaxBytes: null,
  connectionsPerAddressMax: null,
  hstsSeconds: null,
};
