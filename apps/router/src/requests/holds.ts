/**
 * Requests that wait for a copy of their route: while an app restarts, or in the moment between a copy's death and the table's word of it. Bounded for each
 * route; what waits costs only its headers and what the kernel and one read buffer hold of its body, since nobody reads on.
 */
import type { RouterSettings } from '../settings.ts';

export interface Holds {
  /** Calls `resume` once, when the route changes or after `forMs`. Returns how to leave early; null when too many wait already. */
  wait(routeGuid: string, held: { forMs: number; bodyBytes: number }, resume: () => void): (() => void) | null;
  /** The route was stated anew or is gone: everyone looks again. */
  release(routeGuid: string): void;
  /** Lets everyone go: the router ends. */
  releaseAll(): void;
  readonly waiting: number;
}

interface Waiting {
  readonly bodyBytes: number;
  readonly timer: NodeJS.Timeout;
  readonly resume: () => void;
}

/** As much of a body as one waiting request can have in memory: Node's read buffer and one chunk more. */
const BUFFERED_BODY_MAX_BYTES = 128 * 1024;

/** What a request that waits will take of its route's 64 MB. */
export function heldBodyBytes({ hasBody, contentLength }: { hasBody: boolean; contentLength: number | null }): number {
  return hasBody ? Math.min(contentLength ?? BUFFERED_BODY_MAX_BYTES, BUFFERED_BODY_MAX_BYTES) : 0;
}

export function createHolds(settings: RouterSettings): Holds {
  const routes = new Map<string, { waiting: Set<Waiting>; bodyBytes: number }>();
  let total = 0;

  const leave = (routeGuid: string, one: Waiting): boolean => {
    const route = routes.get(routeGuid);
    if (route === undefined || !route.waiting.delete(one)) return false;
    clearTimeout(one.timer);
    route.bodyBytes -= one.bodyBytes;
    total--;
    if (route.waiting.size === 0) routes.delete(routeGuid);
    return true;
  };
  const release = (routeGuid: string): void => {
    // A copy of the set: whoever finds nothing yet comes back and waits on.
    for (const one of [...(routes.get(routeGuid)?.waiting ?? [])]) if (leave(routeGuid, one)) one.resume();
  };
  return {
    wait: (routeGuid, { forMs, bodyBytes }, resume) => {
      const route = routes.get(routeGuid) ?? { waiting: new Set<Waiting>(), bodyBytes: 0 };
      if (route.waiting.size >= settings.holdRequestsMax || route.bodyBytes + bodyBytes > settings.holdBodyBytesMax)
        return null;
      routes.set(routeGuid, route);
      const one: Waiting = {
        bodyBytes,
        resume,
        timer: setTimeout(() => {
          if (leave(routeGuid, one)) resume();
        }, forMs),
      };
      route.waiting.add(one);
      route.bodyBytes += bodyBytes;
      total++;
      return () => void leave(routeGuid, one);
    },
    release,
    releaseAll: () => {
      for (const routeGuid of [...routes.keys()]) release(routeGuid);
    },
    get waiting() {
      return total;
    },
  };
}
