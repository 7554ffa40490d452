/** Between two turns of the event loop, so that others are served while a large archive is read or written (ours: a frame's worth, half). */
const TURN_MS = 8;

/** Awaited often, it gives way to the event loop every few ms. */
export function takeTurns(): () => Promise<void> {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < TURN_MS) return;
    await new Promise(resolve => setImmediate(resolve));
    last = performance.now();
  };
}
