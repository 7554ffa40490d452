/** Pure: what `cupola dev` says, one line for each thing that happens, or one JSON object. */
import type { Explanation } from '@cupola/contract/causes';
import { harmless, plural } from '@cupola/push/text';

export type DevEvent =
  | {
      readonly type: 'watching';
      readonly folder: string;
      readonly files: number;
      readonly app: string;
      readonly url: string | null;
    }
  | {
      readonly type: 'synced';
      /** Of files, as they are called in the folder. */
      readonly changed: readonly string[];
      readonly removed: readonly string[];
      readonly ms: number;
      readonly restarted: boolean;
      readonly sequence: number;
      /** Null: every instance that runs has taken it, and there is one. */
      readonly waits: 'no instance runs' | 'not taken yet' | null;
    }
  /** `why`: a path, or what else asks for it. */
  | {
      readonly type: 'building';
      readonly why: string;
      readonly changed: readonly string[];
      readonly removed: readonly string[];
    }
  | {
      readonly type: 'pushed';
      readonly ms: number;
      readonly seconds: { readonly upload: number; readonly stage: number; readonly start: number };
    }
  | {
      readonly type: 'failed';
      readonly what: string;
      readonly message: string;
      readonly next: string | null;
      readonly details: readonly string[];
      readonly explained?: Explanation;
    }
  | { readonly type: 'note'; readonly message: string }
  | { readonly type: 'ended'; readonly app: string; readonly deleted: boolean };

const NAMES_SHOWN = 3;

export function eventText(event: DevEvent, app: string): string {
  switch (event.type) {
    case 'watching':
      return `Watching ${event.folder} (${plural(event.files, 'file')}). Ctrl-C ends it. ${event.url ?? `${app} has no route`}`;
    case 'synced': {
      const how = `in ${Math.round(event.ms)} ms${event.restarted ? ', restarted' : ''}`;
      const waiting = {
        'no instance runs': `sent; no instance runs to take it, see: cupola app ${app}`,
        'not taken yet': `sent, and not taken yet, see: cupola app ${app}`,
      };
      return `${names(event)}: ${event.waits === null ? `synced ${how}` : waiting[event.waits]}`;
    }
    case 'building': {
      const others = event.changed.length + event.removed.length - 1;
      return `needs a build: ${event.why}${others > 0 ? ` (and ${plural(others, 'other change')})` : ''}`;
    }
    case 'pushed': {
      const { upload, stage, start } = event.seconds;
      const each = Object.entries({ upload, stage, start }).map(([name, took]) => `${name} ${took.toFixed(2)} s`);
      return `pushed in ${(event.ms / 1_000).toFixed(2)} s (${each.join(', ')})`;
    }
    case 'failed':
      return [
        `${event.what}: ${event.message}`,
        ...event.details,
        ...(event.next === null ? [] : [event.next]),
        ...(event.explained === undefined ? [] : [causeText(event.explained)]),
      ].join('\n');
    case 'note':
      return event.message;
    case 'ended':
      return event.deleted
        ? `${app} is deleted.`
        : `${app} stays. Go on: cupola dev. Delete it: cupola delete ${app} -f -r`;
  }
}

/** Without a command to go on with: what is mended is tried by itself. */
function causeText({ code, evidence, mend, page }: Explanation): string {
  const shown = evidence === null ? [] : [`  ${harmless(evidence)}`];
  return [...shown, mend, `Save, and it is tried again.      (${code}: ${page})`].join('\n');
}

/** `app.js, lib/a.js and 3 more, removed old.js`. */
function names({ changed, removed }: { changed: readonly string[]; removed: readonly string[] }): string {
  const some = (paths: readonly string[]): string => {
    const more = paths.length - NAMES_SHOWN;
    return `${paths.slice(0, NAMES_SHOWN).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
  };
  return [
    ...(changed.length > 0 ? [some(changed)] : []),
    ...(removed.length > 0 ? [`removed ${some(removed)}`] : []),
  ].join(', ');
}
