/** Cuts a schedule that breaks an invariant down to the happenings it needs, and tells its story. */
import { type Finding, runSchedule } from './run.ts';

export function shrink(finding: Finding): Finding {
  let { happenings } = finding;
  for (let size = Math.ceil(happenings.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2))
    for (let at = 0; at < happenings.length; ) {
      const fewer = happenings.toSpliced(at, size);
      if (runSchedule(finding.seed, { happenings: fewer }) === null) at += size;
      else happenings = fewer;
    }
  return runSchedule(finding.seed, { happenings, withHistory: true }) ?? finding;
}
