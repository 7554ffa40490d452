/** What every rung's inside has in common: ids, paths, the init. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SandboxSpec } from './sandbox.ts';

/** Uid and gid that apps see as their own, where ids are mapped. */
export const INSIDE_UID = 2000;
export const HOME = '/home/vcap';
export const ENVIRONMENT_INSIDE = '/run/cupola/env';
export const INIT_INSIDE = '/run/cupola/init';
/** The init's source. */
export const INIT = join(import.meta.dirname, 'init.sh');

/** A hostname has 64 characters at most. */
export const hostnameOf = (guid: string): string => guid.slice(0, 63);

/** The init in a pid namespace: a SIGTERM goes to all that is in it. */
export function initInside({ cwd, argv }: SandboxSpec): string[] {
  return ['/bin/sh', INIT_INSIDE, '-1', ENVIRONMENT_INSIDE, cwd, ...argv];
}

/** The init of a plain process, as text: its uid may not reach the file. A SIGTERM goes to its process group. */
export function initOutside({ cwd, argv }: SandboxSpec, environment: string): string[] {
  return ['/bin/sh', '-c', readFileSync(INIT, 'utf8'), 'init', '0', environment, cwd, ...argv];
}
