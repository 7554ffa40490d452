import { aPackage } from '@cupola/store/fixtures';
import { describe, expect, test } from 'vitest';
import { details, makeApp } from '../apps/fixtures.ts';
import { startTestApi } from '../fixtures.ts';

describe('feature flags', () => {
  test("are all there with CF's defaults, service_instance_sharing among them", async () => {
    await using test = await startTestApi();
    const { token } = await test.userWith();
    const { body } = await test.api('GET', '/v3/feature_flags', { token });
    expect(body.pagination.total_results).toBe(19);
    expect(body.resources.map(({ name }: { name: string }) => name)).toEqual(
      body.resources.map(({ name }: { name: string }) => name).toSorted(),
    );
    const one = await test.api('GET', '/v3/feature_flags/service_instance_sharing', { token });
    expect(one.body).toEqual({
      name: 'service_instance_sharing',
      enabled: false,
      updated_at: null,
      custom_error_message: null,
      links: { self: { href: `${test.url}/v3/feature_flags/service_instance_sharing` } },
    });
  });

  test('pages backwards too', async () => {
    await using test = await startTestApi();
    const { body } = await test.api('GET', '/v3/feature_flags?per_page=1&page=19&order_by=-name', {
      token: test.admin,
    });
    expect(body.resources).toMatchObject([{ name: 'app_bits_upload' }]);
  });

  test('are switched by admins; a message of their own stays until it is taken away', async () => {
    await using test = await startTestApi();
    const patch = (body: unknown, token = test.admin) =>
      test.api('PATCH', '/v3/feature_flags/app_scaling', { token, body });
    const { token } = await test.userWith();
    expect((await patch({ enabled: false }, token)).status).toBe(403);
    await patch({ enabled: false, custom_error_message: 'no' });
    expect((await patch({ enabled: true })).body).toMatchObject({
      enabled: true,
      custom_error_message: 'no',
      updated_at: '2026-01-02T03:04:05Z',
    });
    expect((await patch({ custom_error_message: null })).body).toMatchObject({
      enabled: true,
      custom_error_message: null,
    });
    expect((await patch({ enabled: 'yes' })).body.errors[0].detail).toBe('Enabled must be a boolean');
  });

  test('an unknown one is 404 in the words that the cf CLI knows', async () => {
    await using test = await startTestApi();
    const { status, body } = await test.api('GET', '/v3/feature_flags/none', { token: test.admin });
    expect([status, body.errors[0].detail]).toEqual([404, 'Feature flag not found']);
  });
});

test('app_bits_upload switched off refuses uploads of everybody but admins', async () => {
  await using test = await startTestApi();
  const app = await makeApp(test);
  const { guid } = await aPackage(test.deps.store, { app_guid: app.guid });
  await test.api('PATCH', '/v3/feature_flags/app_bits_upload', { token: test.admin, body: { enabled: false } });
  const { token } = await test.userWith({ space_developer: test.home.spaceGuid });
  const form = new FormData();
  form.set('resources', '[]');
  const refused = await test.api('POST', `/v3/packages/${guid}/upload`, { token, form });
  expect([refused.status, details(refused)]).toEqual([403, ['Feature Disabled: app_bits_upload']]);
});
