/** Keys of a manifest whose feature is not there yet: refused with what to do instead, never taken and forgotten. */
import type { Reader } from './reader.ts';

export function refuseUnbuilt({ raw, errors }: Reader): void {
  if (isSomething(raw.docker))
    errors.push('Docker images are not supported yet. Leave `docker` out and push the source, with a buildpack.');
  if (raw.lifecycle === 'cnb')
    errors.push('Cloud Native Buildpacks are not supported yet. Leave `lifecycle` out: a buildpack is detected.');
  else if (isSomething(raw.lifecycle) && raw.lifecycle !== 'buildpack' && !isSomething(raw.docker))
    errors.push('Lifecycle type is not included in the list: buildpack, docker, cnb');
}

/** Empty lists and null ask for nothing. */
function isSomething(value: unknown): boolean {
  return value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0);
}
