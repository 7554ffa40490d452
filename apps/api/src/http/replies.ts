/** Replies of one form. */
import type { ApiDeps } from '../deps.ts';
import { jobLocation } from '../jobs/jobs.ts';
import type { Reply } from './endpoint.ts';

/** 202 with the job to look at. */
export function accepted({ config }: Pick<ApiDeps, 'config'>, jobGuid: string): Reply {
  return { status: 202, headers: { Location: jobLocation(config.publicUrl, jobGuid) } };
}

export const NO_CONTENT: Reply = { status: 204 };
