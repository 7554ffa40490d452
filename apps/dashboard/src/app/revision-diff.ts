/** What going back to a revision would change. Pure. Values of variables are secrets: only that they differ is said. */
import type { Revision } from '../data/read.ts';

/** A revision with the variables it was made with; null where the asker may not see them. */
export interface RevisionContent {
  revision: Pick<Revision, 'droplet' | 'processes' | 'sidecars'>;
  variables: Readonly<Record<string, string>> | null;
}

export interface RevisionChange {
  how: 'added' | 'removed' | 'changed';
  what: string;
  /** What it is now, and what it would be, where it may be shown. */
  from: string | null;
  to: string | null;
}

/** From `now` to `wanted`: code first, then commands, sidecars and variables, each by name. */
export function changesBetween(now: RevisionContent, wanted: RevisionContent): RevisionChange[] {
  const changes: RevisionChange[] = [];
  if (now.revision.droplet?.guid !== wanted.revision.droplet?.guid)
    changes.push({
      ...{ how: 'changed', what: 'the code' },
      from: dropletName(now.revision.droplet?.guid),
      to: dropletName(wanted.revision.droplet?.guid),
    });
  changes.push(...ofRecords(commandsOf(now), commandsOf(wanted), type => `the command of ${type}`, true));
  changes.push(...ofRecords(sidecarsOf(now), sidecarsOf(wanted), name => `the sidecar ${name}`, true));
  if (now.variables !== null && wanted.variables !== null)
    changes.push(...ofRecords(now.variables, wanted.variables, name => name, false));
  return changes;
}

const dropletName = (guid: string | undefined): string | null =>
  guid === undefined ? null : `droplet ${guid.slice(0, 8)}`;

/** What the droplet says itself is nobody's own command. */
function commandsOf({ revision }: RevisionContent): Record<string, string> {
  return Object.fromEntries(
    Object.entries(revision.processes ?? {}).flatMap(([type, { command }]) =>
      command == null ? [] : [[type, command] as const],
    ),
  );
}

function sidecarsOf({ revision }: RevisionContent): Record<string, string> {
  return Object.fromEntries((revision.sidecars ?? []).map(({ name, command }) => [name, command]));
}

function ofRecords(
  now: Readonly<Record<string, string>>,
  wanted: Readonly<Record<string, string>>,
  nameOf: (key: string) => string,
  isShown: boolean,
): RevisionChange[] {
  const keys = [...new Set([...Object.keys(now), ...Object.keys(wanted)])].toSorted((a, b) => a.localeCompare(b));
  return keys.flatMap((key): RevisionChange[] => {
    const [from, to] = [own(now, key), own(wanted, key)];
    if (from === to) return [];
    const how = from === null ? 'added' : to === null ? 'removed' : 'changed';
    return [{ how, what: nameOf(key), from: isShown ? from : null, to: isShown ? to : null }];
  });
}

/** Variables may have any name, `__proto__` too. */
function own(record: Readonly<Record<string, string>>, key: string): string | null {
  return Object.hasOwn(record, key) ? (record[key] ?? null) : null;
}
