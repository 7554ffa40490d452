/** kill -9 of each part while each step of a push is under way: what was acknowledged is kept, and the push goes on to its end. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { killPart, PART_KINDS, type Platform, startPlatform } from './platform.ts';
import { checkLedger, openLedger, stepsOfPush } from './push-steps.ts';

describe('kill -9 during each step of a push', () => {
  let platform: Platform;
  beforeAll(async () => {
    // Long enough that the parts are away at the same time; with 10 s, the platform's own, two minutes would go by in waiting.
    platform = await startPlatform([], { env: { CUPOLA_PART_BACKOFF_MAX_MS: '2000' } });
  });
  afterAll(() => platform[Symbol.asyncDispose]());

  // All at once: the supervisor waits longer before each start of a part that keeps dying, and each push must stand the others' kills too.
  test.concurrent.each(PART_KINDS)('of %s', { timeout: 480_000 }, async part => {
    const ledger = await openLedger(platform, `pushed-${part}`);
    const steps = stepsOfPush(platform, `by-${part}`);
    for (const step of steps) {
      const running = step.run(ledger);
      running.catch(() => undefined); // Looked at below: the kill comes first.
      await killPart(platform, part);
      await running;
      await checkLedger(platform, ledger);
    }
    expect(ledger.acknowledged).toEqual(steps.map(({ name }) => name));
  });
});
