/** What every rung's inside has in common: ids, paths, the init. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SandboxSpec } from './sandbox.ts';

/** Uid and gid that apps see as their own, where ids are mapped. */
export const INSIDE_UID = 2000;
export const HOME = '/home/vcap';
export const ENVIRONMENT_INSIDE = '/run/cupola/env';
export const INIT_INSIDE = '/run/cupola/init';
/** This machine's shell in the root of an image: by its loader, which finds its libraries in a folder of ours. */
export const SHELL_FOLDER = '/run/cupola/shell';
const SHELL_INSIDE = [`${SHELL_FOLDER}/loader`, '--library-path', `${SHELL_FOLDER}/lib`, `${SHELL_FOLDER}/sh`];
/** The init's source. */
export const INIT = join(import.meta.dirname, 'init.sh');

/** A hostname has 64 characters at most. */
export const hostnameOf = (guid: string): string => guid.slice(0, 63);

/** Of what is inside: uid and gid as they are seen there. */
export function idsInside({ image }: SandboxSpec): { uid: number; gid: number } {
  return image === undefined ? { uid: INSIDE_UID, gid: INSIDE_UID } : { uid: image.uid, gid: image.gid };
}

/** Limits of a process that this machine's own shell sets on the way; where the machine allows less, that stays. */
const LIMITED = 'ulimit -c 0; ulimit -n "$0" 2>/dev/null; exec "$@"';

/** The init in a pid namespace: a SIGTERM goes to all that is in it. An image may have no shell: it is run by this machine's (`host-shell.ts`). */
export function initInside({ cwd, argv, image }: SandboxSpec): string[] {
  const shell = image === undefined ? ['/bin/sh'] : SHELL_INSIDE;
  const limited = image === undefined ? argv : [...SHELL_INSIDE, '-c', LIMITED, String(image.openFilesMax), ...argv];
  return [...shell, INIT_INSIDE, '-1', ENVIRONMENT_INSIDE, cwd, ...limited];
}

/** The init of a plain process, as text: its uid may not reach the file. A SIGTERM goes to its process group. */
export function initOutside({ cwd, argv }: SandboxSpec, environment: string): string[] {
  return ['/bin/sh', '-c', readFileSync(INIT, 'utf8'), 'init', '0', environment, cwd, ...argv];
}
