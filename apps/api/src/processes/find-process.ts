/** Finding a process for an actor: by its guid, or as a type of an app. Hidden ones are not there. */
import { NotFoundError } from '@cupola/model/errors';
import type { Database, ProcessesTable } from '@cupola/store/schema';
import type { Kysely, Selectable } from 'kysely';
import { maySeeSpace, requireDeveloper } from '../access/access.ts';
import type { Actor } from '../access/actor.ts';
import { APP_MANAGERS, appScope, findApp, type ScopedApp, seenApp } from '../apps/find-app.ts';
import { processOfType } from './change-process.ts';

export type ProcessRow = Selectable<ProcessesTable>;
export interface FoundProcess {
  process: ProcessRow;
  app: ScopedApp;
}

/** Path parameters: `guid` of a process, or `app` with a `type`. */
export type ProcessPath = { guid?: string; app?: string; type?: string };

/** @throws NotFoundError: `App not found` before `Process not found` where an app is in the path. */
export async function seenProcess(db: Kysely<Database>, actor: Actor, path: ProcessPath): Promise<FoundProcess> {
  if (path.app !== undefined) {
    const app = await seenApp(db, actor, path.app);
    const process = await processOfType(db, app.guid, path.type ?? '');
    if (process === undefined) throw new NotFoundError('Process');
    return { process, app };
  }
  const process = await db
    .selectFrom('processes')
    .selectAll()
    .where('guid', '=', path.guid ?? '')
    .executeTakeFirst();
  const app = process === undefined ? undefined : await findApp(db, process.app_guid);
  if (process === undefined || app === undefined || !maySeeSpace(actor, appScope(app)))
    throw new NotFoundError('Process');
  return { process, app };
}

/** As `seenProcess`, for those who may change what runs. @throws ForbiddenError */
export async function writableProcess(db: Kysely<Database>, actor: Actor, path: ProcessPath): Promise<FoundProcess> {
  const found = await seenProcess(db, actor, path);
  requireDeveloper(actor, appScope(found.app), 'Process', APP_MANAGERS);
  return found;
}
