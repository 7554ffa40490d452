import { jobAnswer } from '@cupola/contract/v3/platform';
import { NotFoundError } from '@cupola/model/errors';
import type { JobsTable } from '@cupola/store/schema';
import type { Selectable } from 'kysely';
import { type Endpoint, endpoint } from '../http/endpoint.ts';
import { isoTime } from '../http/iso-time.ts';

/** Collections of what operations are about; after a delete there is nothing to link to. */
const COLLECTIONS: Record<string, string> = { app: 'apps', space: 'spaces', organization: 'organizations' };

function presentJob(job: Selectable<JobsTable>, baseUrl: string) {
  const [kind = '', verb = ''] = job.operation.split('.');
  const collection = verb.startsWith('delete') ? undefined : COLLECTIONS[kind];
  return {
    guid: job.guid,
    created_at: isoTime(job.created_at),
    updated_at: isoTime(job.updated_at),
    operation: job.operation,
    state: job.state,
    errors: JSON.parse(job.errors_json) as Array<{ code: number; title: string; detail: string }>,
    warnings: JSON.parse(job.warnings_json) as Array<{ detail: string }>,
    links: {
      self: { href: `${baseUrl}/v3/jobs/${job.guid}` },
      ...(collection === undefined || job.resource_guid === null
        ? {}
        : { [kind]: { href: `${baseUrl}/v3/${collection}/${job.resource_guid}` } }),
    },
  };
}

export const jobEndpoints: Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v3/jobs/:guid',
    summary: 'How far an operation has come',
    responseSchema: jobAnswer,
    handle: async (deps, request) => {
      const guid = request.params.guid ?? '';
      const read = () => deps.store.read.selectFrom('jobs').selectAll().where('guid', '=', guid).executeTakeFirst();
      const job = await deps.holds.wait(request, {
        kind: 'job',
        guid,
        concerns: (kind, changed) => kind === 'job' && changed === guid,
        read,
        isFinal: found => found === undefined || found.state !== 'PROCESSING',
      });
      const { actor } = request;
      if (job === undefined || (!actor.isAdmin && job.user_guid !== actor.guid)) throw new NotFoundError('Job');
      return { status: 200, body: presentJob(job, deps.config.publicUrl) };
    },
  }),
];
