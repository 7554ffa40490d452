/** YAML as a manifest may be: core schema and merge keys, no tags of its own, at most 100 aliases, 32 levels deep (threats.md 32). Pure and synchronous. */
import { type Document, parseDocument, visit } from 'yaml';

const ALIASES_MAX = 100;
const DEPTH_MAX = 32;

/** `unreadable`: no YAML. `refused`: YAML, but over a limit. The text is for its writer. */
export type YamlReading = { value: unknown } | { unreadable: string } | { refused: string };

export function readYaml(text: string): YamlReading {
  const document = parseDocument(text, { version: '1.2', merge: true, resolveKnownTags: false, logLevel: 'silent' });
  const [error] = document.errors;
  if (error !== undefined) return { unreadable: firstLine(error.message) };
  const [warning] = document.warnings;
  if (warning !== undefined)
    return { refused: `The manifest has a tag of its own, which is not allowed: ${firstLine(warning.message)}` };
  const aliases = countAliases(document);
  if (aliases > ALIASES_MAX)
    return {
      refused: `The manifest has ${aliases} aliases; at most ${ALIASES_MAX} are allowed. Write the values out.`,
    };
  const value = resolve(document);
  if (value === undefined) return { refused: 'The aliases of the manifest multiply each other. Write the values out.' };
  if (isDeeperThan(value, DEPTH_MAX))
    return { refused: `The manifest is nested more than ${DEPTH_MAX} levels deep. Flatten it.` };
  return { value };
}

/** Undefined when aliases of aliases would make more than the limit. */
function resolve(document: Document.Parsed): unknown {
  try {
    return document.toJS({ maxAliasCount: ALIASES_MAX }) ?? null;
  } catch (error) {
    if (error instanceof ReferenceError) return undefined;
    throw error;
  }
}

function firstLine(message: string): string {
  return (message.split('\n')[0] ?? message).replace(/:$/, '');
}

function countAliases(document: Document.Parsed): number {
  let aliases = 0;
  visit(document, {
    Alias: () => {
      aliases += 1;
    },
  });
  return aliases;
}

/** Level by level, each object once: what aliases share, or close to a circle, costs nothing. A circle is as deep as the limit. */
function isDeeperThan(value: unknown, max: number): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; depth <= max; depth++) {
    const next = new Set<unknown>();
    for (const item of level)
      if (typeof item === 'object' && item !== null) for (const child of Object.values(item)) next.add(child);
    if (next.size === 0) return false;
    level = [...next];
  }
  return true;
}
