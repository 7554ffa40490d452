import { describe, expect, test } from 'vitest';
import { startTestApi } from '../fixtures.ts';

describe('the public listener', () => {
  test('answers GET / without a token, with links of its own origin', async () => {
    await using test = await startTestApi();
    const { status, body, headers } = await test.api('GET', '/');
    expect(status).toBe(200);
    expect(body.links.cloud_controller_v3).toEqual({ href: `${test.url}/v3`, meta: { version: '3.211.0' } });
    expect(headers.get('x-vcap-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('a user made by userWith() has a token', async () => {
    await using test = await startTestApi();
    const user = await test.userWith({ space_developer: test.home.spaceGuid });
    expect(user.token.split('.')).toHaveLength(3);
  });
});
