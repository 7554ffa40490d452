/** Sixty changes of a running app, and not one request of its clients dropped (npm run changes makes more). */
import { expect, test } from 'vitest';
import { chance, makeChanges, pushEcho } from './changes/changes.ts';
import { startLoad } from './changes/load.ts';
import { startPlatform } from './platform.ts';

const CHANGES = 60;
const PER_SECOND = 200;

test(`${CHANGES} mixed changes at ${PER_SECOND} requests a second: none fails`, { timeout: 900_000 }, async () => {
  await using platform = await startPlatform();
  const app = await pushEcho(platform);
  const load = startLoad({ port: platform.facts.port, host: app.host, perSecond: PER_SECOND });
  const made = await makeChanges(
    { platform, app, random: chance(20_261_124) },
    { count: CHANGES, begins: load.during },
  );
  const ledger = await load.stop();
  expect(ledger.failures).toEqual([]);
  expect(made).toHaveLength(CHANGES);
  expect(ledger.asked).toBeGreaterThan(PER_SECOND * 10);
});
