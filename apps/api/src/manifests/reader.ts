/** Reading a mapping of a manifest: its keys in one spelling, its errors in one list. */

export type Raw = Record<string, unknown>;

/** Collects sentences; `asked` is true for a key that is there, even with null. */
export interface Reader {
  raw: Raw;
  errors: string[];
  asked(key: string): boolean;
}

export function isObject(value: unknown): value is Raw {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `health-check-type` and `healthCheckType` are `health_check_type`. Only the keys of this level. */
export function underscoreKeys(raw: Raw): Raw {
  return Object.fromEntries(
    Object.entries(raw).map(([key, value]) => [
      key
        .replace(/([a-z\d])([A-Z])/g, '$1_$2')
        .replaceAll('-', '_')
        .toLowerCase(),
      value,
    ]),
  );
}

export function reader(raw: Raw, errors: string[]): Reader {
  return { raw, errors, asked: key => Object.hasOwn(raw, key) };
}
