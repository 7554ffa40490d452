/**
 * Frames of a batch of changes, in the order of the feed, each made into text once. A frame's cursor is the revision up to which all has been said with it:
 * of several frames at one revision only the last one says that revision.
 */
import type { Subject } from './audience.ts';
import { cursorText } from './cursor.ts';

/** What has become of one thing; `json`: what is shown of it, null: it is gone. */
export interface Happening extends Subject {
  revision: number;
  json: string | null;
}

export interface Frame {
  subject: Subject;
  revision: number;
  /** With `ORIGIN` where the origin of links goes. */
  json: string;
  /** Null: it may get lost. */
  cursor: string | null;
}

/** In the order of revisions. Several of one thing become the last one. */
export function framesOf(happenings: readonly Happening[], epoch: string): Frame[] {
  const last = new Map<string, Happening>();
  for (const happening of happenings) {
    const key = `${happening.kind} ${happening.guid}`;
    const known = last.get(key);
    if (known === undefined || known.revision <= happening.revision) last.set(key, happening);
  }
  const ordered = [...last.values()].sort((a, b) => a.revision - b.revision);
  return ordered.map((happening, index) => {
    const { revision } = happening;
    const isLast = ordered[index + 1]?.revision !== revision;
    const cursor = cursorText({ epoch, revision: isLast ? revision : revision - 1 });
    return { subject: happening, revision, cursor, json: frameJson(happening, cursor) };
  });
}

function frameJson({ kind, guid, organizationGuid, spaceGuid, appGuid, json }: Happening, cursor: string): string {
  const about = { cursor, kind, guid, organization_guid: organizationGuid, space_guid: spaceGuid };
  if (json === null) return JSON.stringify({ type: 'gone', ...about });
  const head = JSON.stringify({ type: 'changed', ...about, app_guid: appGuid });
  return `${head.slice(0, -1)},"object":${json}}`;
}
