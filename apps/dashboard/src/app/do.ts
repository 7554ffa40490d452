/** Carries a command out by its call of the API; a change that is a job is waited for. */
import { readJob } from '@cupola/contract/v3/client-reads';
import { ApiError, ask, read } from '../data/http.ts';
import type { Commands } from '../ui/action.tsx';

export async function carryOut({ api }: Commands): Promise<void> {
  const { method, path, json, yaml } = api;
  const response = await ask(path, {
    method: method as 'POST',
    ...(json === undefined ? {} : { json }),
    ...(yaml === undefined ? {} : { yaml }),
  });
  const job = response.headers.get('location');
  if (response.status !== 202 || job === null) return;
  for (;;) {
    // The API holds this until the job is over.
    const { state, errors } = await read(readJob, job, { headers: { prefer: 'wait=20' } });
    if (state === 'COMPLETE') return;
    if (state === 'FAILED') throw new ApiError(422, (errors ?? []).map(({ detail }) => detail).join(' '));
  }
}

/** In their order. */
export async function carryOutAll(commands: readonly Commands[]): Promise<void> {
  for (const one of commands) await carryOut(one);
}
