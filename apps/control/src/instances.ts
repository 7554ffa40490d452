import { internalGet } from './internal-call.ts';

export interface InstanceLine {
  app: string;
  process: string;
  index: number;
  state: string;
  crashes: number;
  since: number;
}

/** Empty while the API is being restarted. */
export async function listInstances(data: string): Promise<InstanceLine[]> {
  const answer = (await internalGet(data, '/internal/instances')) as { instances: InstanceLine[] } | null;
  return answer?.instances ?? [];
}
