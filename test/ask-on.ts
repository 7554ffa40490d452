/** A client that keeps a ledger while something is broken. */
import type { Platform } from './platform.ts';

/** Asks without pause until told to stop; every answer is written down: its status, or why there was none. */
export function askOn(platform: Platform, host: string): { stop(): Promise<Array<number | string>> } {
  let on = true;
  const ledger: Array<number | string> = [];
  const done = (async () => {
    while (on) {
      try {
        ledger.push((await platform.ask(host)).status);
      } catch (error) {
        ledger.push((error as NodeJS.ErrnoException).code ?? String(error));
      }
      await new Promise(next => setTimeout(next, 15));
    }
  })();
  return {
    stop: async () => {
      on = false;
      await done;
      return ledger;
    },
  };
}
