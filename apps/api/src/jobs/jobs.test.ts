import { jobAnswer } from '@cupola/contract/v3/platform';
import { describe, expect, test } from 'vitest';
import { type Actor, NOBODY } from '../access/actor.ts';
import { startTestApi } from '../fixtures.ts';
import { finishedJob, jobLocation } from './jobs.ts';

describe('jobs', () => {
  test('finishedJob() is complete at once, with its warnings, for who began it and admins', async () => {
    await using test = await startTestApi();
    const user = await test.userWith();
    const other = await test.userWith();
    const actor: Actor = { ...NOBODY, kind: 'user', guid: user.guid };
    const guid = await test.deps.store.mutate(mutation =>
      finishedJob(mutation, {
        operation: 'space.apply_manifest',
        resourceGuid: 'space-1',
        actor,
        warnings: ['careful'],
      }),
    );
    const get = (token: string) => test.api('GET', jobLocation(test.url, guid), { token });
    const { status, body } = await get(user.token);
    expect(status).toBe(200);
    expect(jobAnswer.parse(body)).toEqual(body);
    expect(body).toMatchObject({
      guid,
      operation: 'space.apply_manifest',
      state: 'COMPLETE',
      errors: [],
      warnings: [{ detail: 'careful' }],
      links: { self: { href: `${test.url}/v3/jobs/${guid}` }, space: { href: `${test.url}/v3/spaces/space-1` } },
    });
    expect((await get(test.admin)).status).toBe(200);
    const hidden = await get(other.token);
    expect([hidden.status, hidden.body.errors[0].detail]).toEqual([404, 'Job not found']);
  });

  test('finishedJob() goes when its mutation is undone', async () => {
    await using test = await startTestApi();
    const actor: Actor = { ...NOBODY, kind: 'user', guid: 'u' };
    const undone = test.deps.store.mutate(async mutation => {
      await finishedJob(mutation, { operation: 'app.delete', resourceGuid: 'a', actor });
      throw new Error('something else failed');
    });
    await expect(undone).rejects.toThrow('something else failed');
    expect(await test.deps.store.read.selectFrom('jobs').selectAll().execute()).toEqual([]);
  });
});
