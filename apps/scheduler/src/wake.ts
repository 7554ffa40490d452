/** A sleeper that others wake: a call while it is awake counts for its next sleep, so no wake-up is lost between two passes. */
export interface Wake {
  now(): void;
  /** Resolves after `ms`, or as soon as somebody called `now` since the last sleep. */
  sleep(ms: number): Promise<void>;
}

export function makeWake(): Wake {
  let isCalled = false;
  let rouse: (() => void) | null = null;
  return {
    now: () => {
      isCalled = true;
      rouse?.();
    },
    sleep: async ms => {
      if (!isCalled)
        await new Promise<void>(resolve => {
          const timer = setTimeout(resolve, ms);
          rouse = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      rouse = null;
      isCalled = false;
    },
  };
}
