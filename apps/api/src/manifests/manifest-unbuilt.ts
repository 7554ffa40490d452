/** Keys of a manifest whose feature is not there yet: refused with what to do instead, never taken and forgotten. */
import type { Reader } from './reader.ts';

export function refuseUnbuilt({ raw, errors }: Reader): void {
  if (raw.lifecycle === 'cnb')
    errors.push('Cloud Native Buildpacks are not supported yet. Leave `lifecycle` out: a buildpack is detected.');
  else if (isSomething(raw.lifecycle) && raw.lifecycle !== 'buildpack' && raw.lifecycle !== 'docker')
    errors.push('Lifecycle type is not included in the list: buildpack, docker, cnb');
}

/** Empty lists and null ask for nothing. */
function isSomething(value: unknown): boolean {
  return value !== undefined && value !== null && !(Array.isArray(value) && value.length === 0);
}
