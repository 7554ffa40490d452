/**
 * Counts what vitest ran, so that `.ci/run` can end with `N passed, N failed`. vitest's own JSON says 0 failed on an import error, a killed worker and
 * an empty file; here each of these is a failure. Writes `passed failed skipped` to the file named by CUPOLA_TEST_COUNTS.
 */
import { writeFileSync } from 'node:fs';
import type { Reporter, TestModule, TestRunEndReason } from 'vitest/node';

export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[], reason: TestRunEndReason): void {
    let passed = 0;
    let failed = errors.length;
    let skipped = 0;
    for (const module of modules) {
      let failedHere = 0;
      let seen = 0;
      for (const test of module.children.allTests()) {
        seen++;
        const state = test.result().state;
        if (state === 'passed') passed++;
        else if (state === 'skipped') skipped++;
        else failedHere++;
      }
      if (failedHere === 0 && (module.state() === 'failed' || seen === 0)) failedHere = 1;
      failed += failedHere;
    }
    if (failed === 0 && reason !== 'passed') failed = 1;
    const file = process.env.CUPOLA_TEST_COUNTS;
    if (file !== undefined) writeFileSync(file, `${passed} ${failed} ${skipped}\n`);
    if (modules.length > SLOWEST) console.log(slowest(modules).join('\n'));
  }
}

/** So many files are named after a run of more: where its time went. */
const SLOWEST = 15;

function slowest(modules: readonly TestModule[]): string[] {
  return modules
    .map(module => ({ file: module.relativeModuleId, seconds: module.diagnostic().duration / 1000 }))
    .toSorted((a, b) => b.seconds - a.seconds)
    .slice(0, SLOWEST)
    .map(({ file, seconds }) => `${seconds.toFixed(1).padStart(7)} s  ${file}`);
}
