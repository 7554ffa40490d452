/**
 * What the cell remembers of a copy, one file each: enough to go on with it after a kill -9 at any step. Written before a launch, so that a sandbox is never
 * there without a word about it, and after each change of state. Holds the app's environment: 0600, in a folder of ours alone.
 *
 *     copies/GUID.json       the record
 *     copies/GUID.position   up to where the output of which sandbox has been taken by the API
 */
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { exitReport, placementItem } from '@cupola/contract/internal';
import { COPY_STATES } from '@cupola/model/states';
import type { Logger } from 'pino';
import { z } from 'zod';
import { copyAddress } from '../host/addresses.ts';
import { readSmallFile, removeSmallFile, writeSmallFile } from '../host/small-file.ts';

export const copyRecord = z.object({
  placement: placementItem,
  /** See `KnownCopy` in `@cupola/model/cell-plan`. */
  phase: z.enum(['waiting', 'starting', 'running', 'stopping', 'stopped']),
  state: z.enum(COPY_STATES),
  /** Wall time, rising with each change of state. */
  sinceMs: z.number(),
  attempt: z.number().int(),
  crashCount: z.number().int(),
  /** Starts in a row that never ran app code. */
  errors: z.number().int(),
  placementError: z.string().nullable(),
  /** When a waiting one may start, wall time; null: never again. */
  startAtMs: z.number().nullable(),
  exit: exitReport.nullable(),
  routable: z.boolean(),
  /** Of a development app: the newest change that what runs has taken. */
  appliedChange: z.number().int().nonnegative().exactOptional(),
  /** Of the start under way, or of what runs. */
  launch: z
    .object({
      sandboxGuid: z.string(),
      address: copyAddress,
      /** The sandbox has been started: if it is not there any more, it ran and was lost. */
      isStarted: z.boolean(),
      /** Wall time. */
      startedMs: z.number(),
    })
    .nullable(),
});
export type CopyRecord = z.infer<typeof copyRecord>;

export interface Records {
  all(): CopyRecord[];
  save(record: CopyRecord): void;
  remove(guid: string): void;
  /** Where to read on in this sandbox's output; undefined: from its beginning. */
  position(guid: string, sandboxGuid: string): string | undefined;
  savePosition(guid: string, sandboxGuid: string, position: string): void;
}

export function openRecords({ folder, log }: { folder: string; log: Logger }): Records {
  const root = join(folder, 'copies');
  mkdirSync(root, { recursive: true, mode: 0o700 });
  // Guids come from the API alone, but a name that could leave the folder must not depend on that.
  const known = new Set<string>();
  const file = (guid: string, kind: 'json' | 'position'): string => join(root, `${encodeURIComponent(guid)}.${kind}`);

  return {
    all: () =>
      readdirSync(root)
        .filter(name => name.endsWith('.json'))
        .flatMap(name => {
          const parsed = copyRecord.safeParse(readJson(join(root, name)));
          if (parsed.success) {
            known.add(parsed.data.placement.guid);
            return [parsed.data];
          }
          // Its sandbox, if there is one, is treated as unknown: ended once the scheduler's word is fresh.
          log.error({ name, issues: parsed.error.issues }, 'the record of a copy cannot be read, and is dropped');
          removeSmallFile(join(root, name));
          return [];
        }),
    save: record => {
      known.add(record.placement.guid);
      writeSmallFile(file(record.placement.guid, 'json'), JSON.stringify(record));
    },
    remove: guid => {
      known.delete(guid);
      removeSmallFile(file(guid, 'json'));
      removeSmallFile(file(guid, 'position'));
    },
    position: (guid, sandboxGuid) => {
      const [of, position] = readSmallFile(file(guid, 'position'))?.split(' ') ?? [];
      return of === sandboxGuid ? position : undefined;
    },
    savePosition: (guid, sandboxGuid, position) => {
      // The last lines of a copy may be taken after it has been forgotten.
      if (known.has(guid)) writeSmallFile(file(guid, 'position'), `${sandboxGuid} ${position}`);
    },
  };
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readSmallFile(path) ?? '');
  } catch {
    return null; // Not JSON: reported by the schema.
  }
}
