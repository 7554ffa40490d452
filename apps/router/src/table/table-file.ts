/**
 * The table on disk, so that a restarted router answers at once, with what it knew, while the API is away. Written whole beside the old one and renamed:
 * a kill leaves one or the other. Losing it costs nothing but that head start.
 */
import { readFileSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { type RouteItem, routeItem } from '@cupola/contract/internal';
import type { Logger } from 'pino';
import { z } from 'zod';

/** Where a watch stands: revisions count only within their epoch. */
export interface Cursor {
  readonly epoch: string;
  readonly revision: number;
}

export interface SavedTable {
  readonly cursor: Cursor | null;
  readonly items: readonly RouteItem[];
}

const saved = z.object({
  version: z.literal(1),
  cursor: z.object({ epoch: z.string(), revision: z.number().int() }).nullable(),
  items: z.array(z.unknown()),
});

/** Null when there is none or it cannot be read; single items that are not understood are left out, and with them the cursor, so that they come again. */
export function loadTable(file: string, log: Logger): SavedTable | null {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      log.warn({ err: error, file }, 'saved routes cannot be read');
    return null;
  }
  try {
    const { cursor, items } = saved.parse(JSON.parse(text));
    const known = items.map(item => routeItem.safeParse(item)).filter(({ success }) => success);
    const whole = known.length === items.length;
    if (!whole) log.warn({ file, left: items.length - known.length }, 'some saved routes were not understood');
    return { cursor: whole ? cursor : null, items: known.flatMap(({ data }) => (data === undefined ? [] : [data])) };
  } catch (error) {
    log.warn({ err: error, file }, 'saved routes are damaged; the table comes from the API instead');
    return null;
  }
}

export interface TableWriter extends AsyncDisposable {
  /** Saves soon, many changes at once. */
  touch(): void;
}

const DEBOUNCE_MS = 100;
/** A save takes time that requests miss: of a large table at most this share of all time. */
const SAVE_SHARE = 0.05;

interface Deps {
  file: string;
  snapshot(): SavedTable;
  monotonic(): number;
  log: Logger;
}

/** Writes what `snapshot` says some time after each `touch`, one save at a time; disposing saves what is still unsaved. */
export function createTableWriter({ file, snapshot, monotonic, log }: Deps): TableWriter {
  let timer: NodeJS.Timeout | null = null;
  let saving: Promise<void> | null = null;
  let dirty = false;
  let pauseMs = DEBOUNCE_MS;

  const save = async (): Promise<void> => {
    dirty = false;
    const startedMs = monotonic();
    try {
      const { cursor, items } = snapshot();
      const text = JSON.stringify({ version: 1, cursor, items });
      const temporary = `${file}.new`;
      const handle = await open(temporary, 'w', 0o600);
      try {
        await handle.writeFile(text);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(temporary, file);
    } catch (error) {
      // The routes in memory are what counts; a later change tries again.
      log.warn({ err: error, file }, 'routes could not be saved; a router started now would wait for the API');
    }
    pauseMs = Math.max(DEBOUNCE_MS, (monotonic() - startedMs) / SAVE_SHARE);
  };
  const schedule = (): void => {
    timer ??= setTimeout(() => {
      timer = null;
      saving = save().finally(() => {
        saving = null;
        if (dirty) schedule();
      });
    }, pauseMs);
  };
  return {
    touch: () => {
      dirty = true;
      if (saving === null) schedule();
    },
    [Symbol.asyncDispose]: async () => {
      if (timer !== null) clearTimeout(timer);
      timer = null;
      await saving;
      if (timer !== null) clearTimeout(timer);
      if (dirty) await save();
    },
  };
}
