/**
 * One limit for all requests, kept by one timer. They all have the same time, so the one that came first is due first: a set in order of arrival and a timer
 * for its head, instead of a timer for each request.
 */
export interface Deadlines<Item> {
  /** `late` is called with it unless it is removed in time. */
  add(item: Item): void;
  /** Unknown ones are no error. */
  remove(item: Item): void;
}

interface Deps<Item> {
  limitMs: number;
  monotonic(): number;
  late(item: Item): void;
}

export function createDeadlines<Item>({ limitMs, monotonic, late }: Deps<Item>): Deadlines<Item> {
  /** When each came, the oldest first. */
  const since = new Map<Item, number>();
  let timer: NodeJS.Timeout | null = null;

  const arm = (inMs: number): void => {
    // A request holds the process by its socket; the timer that is left when the last one has gone must not.
    timer = setTimeout(check, inMs).unref();
  };
  const check = (): void => {
    timer = null;
    const now = monotonic();
    for (const [item, cameMs] of since) {
      const leftMs = cameMs + limitMs - now;
      if (leftMs > 0) {
        arm(Math.ceil(leftMs));
        return;
      }
      since.delete(item);
      late(item);
    }
  };
  return {
    add: item => {
      since.set(item, monotonic());
      if (timer === null) arm(limitMs);
    },
    remove: item => {
      since.delete(item);
    },
  };
}
