/** `((name))` in a manifest: the value of a variable, of any type where it stands alone, as text within text; `((a.b))` looks into a map. As cf reads it. */
import { usageError } from '../failures.ts';

const WHOLE = /^\(\(!?([-/.\w\p{L}]+)\)\)$/u;
const WITHIN = /\(\(!?([-/.\w\p{L}]+)\)\)/gu;

export function interpolate(value: unknown, variables: Readonly<Record<string, unknown>>): unknown {
  const missing = new Set<string>();
  const resolve = (name: string): unknown => {
    let at: unknown = variables;
    // A name with dots may be a variable of that very name.
    if (Object.hasOwn(variables, name)) return variables[name];
    for (const part of name.split('.')) {
      if (typeof at !== 'object' || at === null || !Object.hasOwn(at, part)) {
        missing.add(name);
        return '';
      }
      at = (at as Record<string, unknown>)[part];
    }
    return at;
  };
  const text = (source: string): unknown => {
    const whole = WHOLE.exec(source)?.[1];
    if (whole !== undefined) return resolve(whole);
    return source.replace(WITHIN, (_, name: string) => {
      const found = resolve(name);
      if (typeof found === 'object' && found !== null)
        throw usageError(
          `The variable "${name}" is a list or a map and cannot stand within text.`,
          `Let ((${name})) stand alone as a value.`,
        );
      return String(found);
    });
  };
  const walk = (node: unknown): unknown => {
    if (typeof node === 'string') return text(node);
    if (Array.isArray(node)) return node.map(walk);
    if (typeof node === 'object' && node !== null)
      return Object.fromEntries(Object.entries(node).map(([key, below]) => [String(text(key)), walk(below)]));
    return node;
  };
  const result = walk(value);
  if (missing.size > 0)
    throw usageError(
      `The manifest asks for variables that have no value: ${[...missing].sort().join(', ')}.`,
      'Give each: --var NAME=VALUE, or a file of them: --vars-file FILE',
    );
  return result;
}
