/**
 * `npm run changes -- --runs N --seed S`: N changes of a running app, one after another, while a client asks it 200 times a second. Prints each change and
 * what failed; ends with 1 when anything did.
 */
import { parseArgs } from 'node:util';
import { startPlatform } from '../platform.ts';
import { chance, makeChanges, pushEcho } from './changes.ts';
import { startLoad } from './load.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    runs: { type: 'string', default: '500' },
    rate: { type: 'string', default: '200' },
  },
});
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
const count = Number(values.runs);

console.log(`seed ${seed}, ${count} changes at ${values.rate} requests a second`);
await using platform = await startPlatform();
const app = await pushEcho(platform);
const load = startLoad({ port: platform.facts.port, host: app.host, perSecond: Number(values.rate) });
const began = performance.now();
await makeChanges(
  { platform, app, random: chance(seed) },
  {
    count,
    begins: name => {
      console.log(`${((performance.now() - began) / 1_000).toFixed(1).padStart(7)} s  ${name}`);
      load.during(name);
    },
  },
);
const ledger = await load.stop();
for (const failure of ledger.failures.slice(0, 20)) console.log(JSON.stringify(failure));
const { asked, failures, p99Ms, slowestMs, slow } = ledger;
console.log('longer than a second:', slow);
console.log(`${asked} requests, ${failures.length} failed; p99 ${p99Ms} ms, slowest ${slowestMs} ms; seed ${seed}`);
process.exitCode = failures.length === 0 ? 0 : 1;
