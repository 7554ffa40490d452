/** Jobs of operations that are one transaction: complete the moment they can be seen (foundations.md 4). */
import { randomUUID } from 'node:crypto';
import type { Mutation } from '@cupola/store/store';
import type { Actor } from '../access/actor.ts';

export interface FinishedJob {
  /** CF's: `space.apply_manifest`, `app.delete`. */
  operation: string;
  /** Of what it was about. */
  resourceGuid: string | null;
  actor: Actor;
  warnings?: readonly string[];
}

/** @returns the guid of the job, in the same transaction as what it tells of. */
export async function finishedJob(
  { db, now, changed }: Mutation,
  { operation, resourceGuid, actor, warnings = [] }: FinishedJob,
): Promise<string> {
  const guid = randomUUID();
  await db
    .insertInto('jobs')
    .values({
      guid,
      created_at: now,
      updated_at: now,
      operation,
      state: 'COMPLETE',
      errors_json: '[]',
      warnings_json: JSON.stringify(warnings.map(detail => ({ detail }))),
      resource_guid: resourceGuid,
      user_guid: actor.guid,
    })
    .execute();
  changed('job', guid);
  return guid;
}

/** Absolute: the cf CLI calls it as it stands. */
export function jobLocation(baseUrl: string, jobGuid: string): string {
  return `${baseUrl}/v3/jobs/${jobGuid}`;
}
