import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createHolds } from './create-holds.ts';
import type { HoldAsker } from './holds.ts';
import { createTokenCap } from './token-cap.ts';

const trace = fc.constantFrom('t1', 't2', null);
const userAgent = fc.constantFrom('cf/8.18.4 (go1.25.5; amd64 linux)', 'curl/8.5.0', 'Mozilla/5.0 (X11; Linux)');
const asker = fc.record({ trace, userAgent, tokenId: fc.constantFrom('a', 'b') });
type Asker = typeof asker extends fc.Arbitrary<infer T> ? T : never;
const step = fc.record({
  do: fc.constantFrom('own', 'summary', 'get'),
  asker,
  app: fc.constantFrom('app-1', 'app-2'),
  process: fc.constantFrom('web', 'worker'),
});

const request = ({ trace, userAgent, tokenId }: Asker): HoldAsker => ({
  trace,
  userAgent,
  preferWaitSeconds: null,
  // Gone before it asks: what would be held reads once more than what is not, and nothing waits.
  signal: AbortSignal.abort(),
  actor: { tokenId },
});

/** The rule again, as a table of facts: who caused what, and which summaries have begun. */
function model() {
  const facts = new Set<string>();
  const who = ({ trace, tokenId, userAgent }: Asker): string => trace ?? `${tokenId} ${userAgent}`;
  return {
    own: (asker: Asker, app: string) => {
      facts.add(`${who(asker)} ${app}`);
      for (const process of ['web', 'worker']) facts.delete(`${who(asker)} ${app} ${process}`);
    },
    summary: (asker: Asker, app: string, process: string) => {
      if (facts.has(`${who(asker)} ${app}`)) facts.add(`${who(asker)} ${app} ${process}`);
    },
    isHeld: (asker: Asker, app: string, process: string): boolean =>
      asker.userAgent.startsWith('cf/') &&
      facts.has(`${who(asker)} ${app}`) &&
      !facts.has(`${who(asker)} ${app} ${process}`),
  };
}

test('wait() subscribes to changes for a poller only, whatever was asked before by whom', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async steps => {
      let held = 0;
      const subscribe = (): (() => void) => {
        held++;
        return () => undefined;
      };
      const holds = createHolds({ store: { subscribe }, monotonic: () => 0, cap: createTokenCap(32) });
      const rule = model();
      const apply = {
        own: ({ asker, app }: (typeof steps)[number]) => {
          holds.own(request(asker), 'stats', app);
          rule.own(asker, app);
        },
        summary: ({ asker, app, process }: (typeof steps)[number]) => {
          holds.summaryBegins(request(asker), app, process);
          rule.summary(asker, app, process);
        },
        get: async ({ asker, app, process }: (typeof steps)[number]) => {
          const before = held;
          await holds.wait(request(asker), {
            kind: 'stats',
            guid: app,
            processGuid: process,
            concerns: () => true,
            read: async () => 'STARTING',
            isFinal: () => false,
          });
          expect(held > before).toBe(rule.isHeld(asker, app, process));
        },
      };
      for (const one of steps) await apply[one.do as keyof typeof apply](one);
    }),
  );
});
