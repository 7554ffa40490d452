/** What a revision of an app is made of, and in which words it differs from another one (CF: revision_resolver.rb). */

export interface RevisionSidecar {
  name: string;
  command: string;
  processTypes: readonly string[];
  memoryMb: number | null;
}

export interface RevisionContent {
  dropletGuid: string;
  environment: Readonly<Record<string, string>>;
  /** The user's own start command of each process type; null: the droplet's. */
  commands: Readonly<Record<string, string | null>>;
  sidecars: readonly RevisionSidecar[];
}

/** The sentences of a revision's description, in CF's order; empty when both are the same. */
export function revisionReasons(latest: RevisionContent, next: RevisionContent): string[] {
  const reasons: string[] = [];
  if (latest.dropletGuid !== next.dropletGuid) reasons.push('New droplet deployed.');
  if (!isSame(sorted(latest.environment), sorted(next.environment)))
    reasons.push('New environment variables deployed.');
  reasons.push(...commandReasons(latest.commands, next.commands));
  if (!isSame(byName(latest.sidecars), byName(next.sidecars))) reasons.push('Sidecars updated.');
  return reasons.sort();
}

function commandReasons(latest: RevisionContent['commands'], next: RevisionContent['commands']): string[] {
  const types = [...new Set([...Object.keys(latest), ...Object.keys(next)])];
  return types.flatMap(type => {
    const [before, after] = [latest[type], next[type]];
    if (before === after) return [];
    if (before === undefined) return [`New process type '${type}' added.`];
    if (after === undefined) return [`Process type '${type}' removed.`];
    const change = before === null ? 'added' : after === null ? 'removed' : 'updated';
    return [`Custom start command ${change} for '${type}' process.`];
  });
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function sorted(variables: Readonly<Record<string, string>>): Array<[string, string]> {
  return Object.entries(variables).sort(([a], [b]) => (a < b ? -1 : 1));
}

function byName(sidecars: readonly RevisionSidecar[]): unknown[] {
  return sidecars
    .map(({ name, command, processTypes, memoryMb }) => [name, command, [...processTypes].sort(), memoryMb])
    .sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1));
}
