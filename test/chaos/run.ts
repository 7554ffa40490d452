/**
 * `npm run chaos -- --seed S --runs N`: pushes one app after another while parts are killed at random moments; a client asks the first app all the while,
 * and writes down every answer. Prints the seed and each run; ends with 1 when something acknowledged was lost, or an app did not answer while the router lived.
 */
import { parseArgs } from 'node:util';
import { type Platform, startPlatform, until } from '../platform.ts';
import { checkLedger, type Ledger, openLedger, stepsOfPush } from '../push-steps.ts';

const { values } = parseArgs({ options: { seed: { type: 'string' }, runs: { type: 'string', default: '10' } } });
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
const runs = Number(values.runs);

/** mulberry32: small, and the same everywhere. */
function chance(from: number): () => number {
  let state = from;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Only these two: a request in the router's hands ends with the router. */
const PARTS = ['control', 'cell'] as const;
const PAUSE_MAX_MS = 400;

async function oneRun(platform: Platform, random: () => number, run: number): Promise<Ledger> {
  const ledger = await openLedger(platform, `chaos-${run}`);
  const steps = stepsOfPush(platform, `version-${run}`);
  for (const step of steps) {
    const running = step.run(ledger);
    running.catch(() => undefined);
    if (random() < 0.5) {
      const part = PARTS[Math.floor(random() * PARTS.length)] ?? 'control';
      await new Promise(resolve => setTimeout(resolve, random() * PAUSE_MAX_MS));
      process.kill(await platform.pidOf(part), 'SIGKILL');
    }
    await running;
  }
  await checkLedger(platform, ledger);
  return ledger;
}

function watchApp(platform: Platform, host: string): { stop(): Promise<{ asked: number; failed: string[] }> } {
  let on = true;
  let asked = 0;
  const failed: string[] = [];
  const done = (async () => {
    while (on) {
      const answer = await platform.ask(host).catch((error: Error) => ({ status: 0, body: error.message }));
      asked++;
      if (answer.status !== 200) failed.push(`${answer.status} ${answer.body}`);
      await new Promise(resolve => setTimeout(resolve, 10));
    }
  })();
  return {
    stop: async () => {
      on = false;
      await done;
      return { asked, failed };
    },
  };
}

console.log(`seed ${seed}, ${runs} runs`);
const random = chance(seed);
await using platform = await startPlatform();
const first = await oneRun(platform, () => 1, 0);
const watch = watchApp(platform, first.host);
const ledgers = [first];
for (let run = 1; run <= runs; run++) {
  ledgers.push(await oneRun(platform, random, run));
  console.log(`run ${run}: every step acknowledged and kept`);
}
for (const ledger of ledgers) {
  await checkLedger(platform, ledger);
  await until(`${ledger.app} answers`, async () => (await platform.ask(ledger.host)).status === 200);
}
const { asked, failed } = await watch.stop();
console.log(`the first app was asked ${asked} times meanwhile, ${failed.length} failed`);
for (const line of failed.slice(0, 10)) console.log(`  ${line}`);
process.exitCode = failed.length === 0 ? 0 : 1;
