/** What a rung does not enforce, in words for `doctor`. */
import type { Enforced, RungReport } from './sandbox.ts';

const WORDS: Array<[keyof Enforced, string]> = [
  ['pid', 'apps see other processes'],
  ['fs', 'apps see the files of this machine'],
  ['uid', 'all apps run as your own user: start as root to give each app a user of its own'],
  ['net', "apps share this machine's network: start as root, with nftables and iproute2, to separate them"],
  ['egress', 'apps reach every address that this machine reaches'],
  ['mem', 'memory limits are not enforced: no control group may be written here'],
  ['cpu', 'CPU shares are not enforced'],
  ['pids', 'the number of processes is not limited'],
  ['disk', 'disk limits are not enforced: only measured'],
  ['seccomp', 'no system-call filter'],
  ['userns', 'apps may make user namespaces of their own'],
];

/** @param more what lacks besides. */
export function reportOf(
  driver: string,
  rung: RungReport['rung'],
  enforced: Enforced,
  more: readonly string[] = [],
): RungReport {
  const missing = [...WORDS.filter(([key]) => !enforced[key]).map(([, text]) => text), ...more];
  return { driver, rung, enforced, missing };
}
