import type { ApiRequest } from '../http/endpoint.ts';

/** What a GET waits for. */
export type HoldKind = 'package' | 'build' | 'job' | 'deployment' | 'stats' | 'development';

/** What of a request says who asks, and how long it may be held. */
export type HoldAsker = Pick<ApiRequest, 'trace' | 'userAgent' | 'preferWaitSeconds' | 'signal'> & {
  actor: Pick<ApiRequest['actor'], 'tokenId'>;
};

/**
 * Held requests (docs/decisions/0007): a poll of the invocation that caused the work is answered when the state is final, a reader at once.
 */
export interface Holds {
  /** The invocation behind `request` caused work on this resource: its polls of it may be held. For stats the guid is the app's. */
  own(request: HoldAsker, kind: HoldKind, guid: string): void;
  /** Whether the invocation behind `request` caused the work. */
  owns(request: HoldAsker, kind: HoldKind, guid: string): boolean;
  /** The invocation has asked for this process's sidecars: its summary follows, its stats are not held any more. */
  summaryBegins(request: HoldAsker, appGuid: string, processGuid: string): void;
  /**
   * Reads until `isFinal`, waking on each change of the feed that `concerns` accepts; at once when the rule says reader, when the bound is over, the
   * client has gone or the server drains. Answers the last value read.
   */
  wait<T>(
    request: HoldAsker,
    options: {
      kind: HoldKind;
      guid: string;
      processGuid?: string;
      concerns: (kind: string, guid: string) => boolean;
      read: () => Promise<T>;
      isFinal: (value: T) => boolean;
    },
  ): Promise<T>;
}
