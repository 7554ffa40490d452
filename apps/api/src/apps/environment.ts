/** User-provided variables of an app: whose names are whose, and how they are kept. */
import type { Sealer } from '@cupola/store/seal';

export type Variables = Record<string, string>;

/**
 * What CF says to variables that are not the user's to set, or no text (CF: environment_variables_validator). One sentence for each.
 * @param subject what the sentences begin with: `Var` in the API, `Env` in manifests.
 */
export function variableErrors(variables: Record<string, unknown>, subject: string): string[] {
  return Object.entries(variables).flatMap(([name, value]) => {
    if (name === '') return [`${subject} key must be a minimum length of 1`];
    if (/^VCAP_/i.test(name)) return [`${subject} cannot start with VCAP_`];
    if (/^VMC/i.test(name)) return [`${subject} cannot start with VMC_`];
    if (/^PORT$/i.test(name)) return [`${subject} cannot set PORT`];
    if (/[=\0]/.test(name)) return [`${subject} key '${name.replace(/\0/g, '\\0')}' cannot contain = or a zero byte`];
    if (typeof value === 'string' && value.includes('\0'))
      return [`${subject} value of '${name}' cannot contain a zero byte`];
    if (typeof value !== 'string' && value !== null)
      return [`Non-string value in environment variable for key '${name}', value '${JSON.stringify(value)}'`];
    return [];
  });
}

/** Merges: null removes, what is not named stays. */
export function mergeVariables(present: Variables, changes: Record<string, unknown>): Variables {
  const merged: Record<string, unknown> = { ...present, ...changes };
  return Object.fromEntries(
    Object.entries(merged).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

export function openVariables(sealer: Sealer, sealed: string): Variables {
  return JSON.parse(sealer.open(sealed)) as Variables;
}

export function sealVariables(sealer: Sealer, variables: Variables): string {
  return sealer.seal(JSON.stringify(variables));
}
