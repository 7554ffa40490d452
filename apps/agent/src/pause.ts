/** Waits that end early when nobody needs them any more. */

/** Resolves after `ms`, or at once when `signal` is aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done);
  });
}

/** +-10 %, so that what began together does not stay together (failure-rules.md section 1). */
export function jittered(ms: number): number {
  return ms * (0.9 + 0.2 * Math.random());
}

/** 50, 100, 200 ... 1,000 ms: how long to wait after so many failures in a row. */
export function backoff(failures: number): number {
  return jittered(Math.min(50 * 2 ** failures, 1_000));
}
