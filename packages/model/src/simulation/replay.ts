/**
 * `node packages/model/src/simulation/replay.ts SEED`: the schedule of that seed, cut down to what still breaks, with its history.
 * `... replay.ts --from SEED --count N`: many, until the first that breaks. Prints one JSON line `{"seed":...,"what":...}` or `{"clean":N}` with `--json`.
 */
import { runSchedule } from './run.ts';
import { shrink } from './shrink.ts';

const argv = process.argv.slice(2);
const option = (name: string): number | null => {
  const at = argv.indexOf(name);
  return at === -1 ? null : Number(argv[at + 1]);
};

const from = option('--from') ?? Number(argv[0]);
const count = option('--count') ?? 1;
if (!Number.isSafeInteger(from) || !Number.isSafeInteger(count)) {
  console.error('usage: node packages/model/src/simulation/replay.ts SEED | --from SEED --count N [--json]');
  process.exit(2);
}

let tried = 0;
let finding = null;
while (finding === null && tried < count) finding = runSchedule(from + tried++);
if (argv.includes('--json')) {
  console.log(JSON.stringify(finding === null ? { clean: tried } : { seed: finding.seed, what: finding.what, tried }));
} else if (finding === null) {
  console.log(`${tried} schedules from seed ${from}: every invariant held`);
} else {
  const small = shrink(finding);
  console.log(small.history.join('\n'));
  console.log(JSON.stringify(small.happenings));
  console.log(`\nseed ${small.seed}: ${small.what}. Again: node packages/model/src/simulation/replay.ts ${small.seed}`);
}
process.exitCode = finding === null ? 0 : 1;
