/** Simulated time: what is due next happens next; what is due at the same moment happens in the order in which it was asked for. */
export interface Timeline {
  readonly nowMs: number;
  after(delayMs: number, run: () => void): void;
  /** Lets the next thing happen; false when nothing is due until `untilMs`, which it then is. */
  step(untilMs: number): boolean;
}

interface Due {
  atMs: number;
  order: number;
  run(): void;
}

const isSooner = (a: Due, b: Due): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

export function startTimeline(): Timeline {
  const heap: Due[] = [];
  let nowMs = 0;
  let order = 0;

  function push(due: Due): void {
    let at = heap.length;
    heap.push(due);
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = heap[parentAt] as Due;
      if (!isSooner(due, parent)) break;
      heap[at] = parent;
      at = parentAt;
    }
    heap[at] = due;
  }

  function pop(): void {
    const last = heap.pop() as Due;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let childAt = 2 * at + 1;
      const right = heap[childAt + 1];
      if (right !== undefined && isSooner(right, heap[childAt] as Due)) childAt++;
      const child = heap[childAt];
      if (child === undefined || !isSooner(child, last)) break;
      heap[at] = child;
      at = childAt;
    }
    heap[at] = last;
  }

  return {
    get nowMs() {
      return nowMs;
    },
    after: (delayMs, run) => push({ atMs: nowMs + Math.max(0, delayMs), order: order++, run }),
    step: untilMs => {
      const next = heap[0];
      if (next === undefined || next.atMs > untilMs) {
        nowMs = untilMs;
        return false;
      }
      pop();
      nowMs = next.atMs;
      next.run();
      return true;
    },
  };
}
