import { describe, expect, test } from 'vitest';
import { startTestApi } from '../fixtures.ts';

const PATH = '/v3/environment_variable_groups';

describe('environment variable groups', () => {
  test('merge what admins set; null takes a variable away', async () => {
    await using test = await startTestApi();
    const patch = (value: unknown) => test.api('PATCH', `${PATH}/running`, { token: test.admin, body: { var: value } });
    await patch({ A: '1', B: '2' });
    const { status, body } = await patch({ A: null, C: '3' });
    expect([status, body.var, body.updated_at]).toEqual([200, { B: '2', C: '3' }, '2026-01-02T03:04:05Z']);
    expect((await test.api('GET', `${PATH}/staging`, { token: test.admin })).body).toMatchObject({
      var: {},
      updated_at: null,
    });
  });

  test('lie sealed in the store', async () => {
    await using test = await startTestApi();
    await test.api('PATCH', `${PATH}/staging`, { token: test.admin, body: { var: { KEY: 'open sesame' } } });
    const row = await test.deps.store.read.selectFrom('environment_groups').selectAll().executeTakeFirstOrThrow();
    expect(JSON.stringify(row)).not.toContain('sesame');
  });

  test.each([
    [{ PORT: '1' }, 'Var cannot set PORT'],
    [{ VCAP_X: '1' }, 'Var cannot start with VCAP_'],
    [{ A: 1 }, "Non-string value in environment variable for key 'A', value '1'"],
  ])('%j is 422', async (value, detail) => {
    await using test = await startTestApi();
    const { status, body } = await test.api('PATCH', `${PATH}/running`, { token: test.admin, body: { var: value } });
    expect([status, body.errors[0].detail]).toEqual([422, detail]);
  });

  test('are read by all, written by admins, and are two', async () => {
    await using test = await startTestApi();
    const { token } = await test.userWith();
    expect((await test.api('GET', `${PATH}/running`, { token })).status).toBe(200);
    expect((await test.api('PATCH', `${PATH}/running`, { token, body: { var: {} } })).status).toBe(403);
    expect((await test.api('GET', `${PATH}/other`, { token })).body.errors[0].detail).toBe(
      'Environment variable group not found',
    );
  });
});
