import { anOrganization } from '@cupola/store/fixtures';
import { openTestStore } from '@cupola/store/test-store';
import { describe, expect, test } from 'vitest';
import { labelSelectorCondition } from './label-selector.ts';
import { deleteMetadata, readMetadata, writeMetadata } from './metadata.ts';

type Store = Awaited<ReturnType<typeof openTestStore>>['store'];
const write = (store: Store, guid: string, body: Parameters<typeof writeMetadata>[3]) =>
  store.mutate(mutation => writeMetadata(mutation, 'organization', guid, body));
const keys = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`key-${index}`, 'x']));

describe('writeMetadata()', () => {
  test('sets, changes and removes what is named', async () => {
    await using opened = await openTestStore();
    const { store } = opened;
    await write(store, 'o', { labels: { a: '1', 'example.com/b': '2' }, annotations: { note: 'x' } });
    await write(store, 'o', { labels: { a: null, 'example.com/b': '3', c: '' }, annotations: null });
    expect((await readMetadata(store.read, 'organization', ['o', 'p'])).get('o')).toEqual({
      labels: { 'example.com/b': '3', c: '' },
      annotations: { note: 'x' },
    });
  });

  test('knows resources apart by kind', async () => {
    await using opened = await openTestStore();
    await write(opened.store, 'same', { labels: { a: '1' } });
    expect((await readMetadata(opened.store.read, 'space', ['same'])).get('same')).toBeUndefined();
  });

  test.each([
    [{ labels: { '': 'x' } }, 'label key error: key cannot be empty string'],
    [{ labels: { 'a/b/c': 'x' } }, "label key error: key has more than one '/'"],
    [{ labels: { 'not_dns/a': 'x' } }, "label key error: prefix 'not_dns' must be in valid dns format"],
    [{ labels: { 'cloudfoundry.org/a': 'x' } }, "label key error: prefix 'cloudfoundry.org' is reserved"],
    [{ labels: { 'example.com/': 'x' } }, 'label key error: key cannot be empty string'],
    [{ labels: { '-a': 'x' } }, "label key error: '-a' starts or ends with invalid characters"],
    [{ labels: { [`a${'b'.repeat(63)}`]: 'x' } }, "label key error: 'abbbbbbb...' is greater than 63 characters"],
    [{ labels: { a: 'b c' } }, "label value error: 'b c' contains invalid characters"],
    [{ labels: { a: 'b.' } }, "label value error: 'b.' starts or ends with invalid characters"],
    [{ labels: { a: { b: 'c' } } }, `label value error: '{"b":"c"}' contains invalid characters`],
    [{ annotations: { 'a b': 'x' } }, "annotation key error: 'a b' contains invalid characters"],
    [
      { annotations: { a: 'x'.repeat(5_001) } },
      "annotation value error: 'xxxxxxxx...' is greater than 5000 characters",
    ],
  ])('%j is refused: %s', async (body, detail) => {
    await using opened = await openTestStore();
    await expect(write(opened.store, 'o', body)).rejects.toThrow(`Metadata ${detail}`);
  });

  test('says everything that is wrong at once', async () => {
    await using opened = await openTestStore();
    const both = write(opened.store, 'o', { labels: { 'a b': 'c d' }, annotations: { '': 'x' } });
    await expect(both).rejects.toThrow(
      "Metadata label key error: 'a b' contains invalid characters, Metadata label value error: 'c d' contains invalid characters, " +
        'Metadata annotation key error: key cannot be empty string',
    );
  });

  test('bounds what one resource may carry', async () => {
    await using opened = await openTestStore();
    await write(opened.store, 'o', { labels: keys(50), annotations: keys(200) });
    await expect(write(opened.store, 'o', { labels: { more: 'x' } })).rejects.toMatchObject({
      title: 'LabelLimitExceeded',
      message: 'Failed to add 1 labels because it would exceed maximum of 50',
    });
    await expect(write(opened.store, 'o', { annotations: { more: 'x' } })).rejects.toMatchObject({
      title: 'AnnotationLimitExceeded',
    });
  });

  test('deleteMetadata() leaves nothing of those named, and the rest alone', async () => {
    await using opened = await openTestStore();
    const { store } = opened;
    await write(store, 'o', { labels: { a: '1' }, annotations: { b: '2' } });
    await write(store, 'p', { labels: { a: '1' } });
    await store.mutate(mutation => deleteMetadata(mutation, 'organization', ['o']));
    const read = await readMetadata(store.read, 'organization', ['o', 'p']);
    expect([read.get('o'), read.get('p')?.labels]).toEqual([undefined, { a: '1' }]);
  });
});

describe('labelSelectorCondition()', () => {
  test.each([
    ['env=prod', ['prod']],
    ['env==prod', ['prod']],
    ['env!=prod', ['bare', 'dev']],
    ['env in (prod,dev)', ['dev', 'prod']],
    ['env notin (prod)', ['bare', 'dev']],
    ['env', ['dev', 'prod']],
    ['!env', ['bare']],
    ['env,tier in (web,api)', ['prod']],
    ['example.com/tier=web', []],
    ['env=', []],
  ])('%s', async (selector, expected) => {
    await using opened = await openTestStore();
    const { store } = opened;
    const make = async (name: string, labels: Record<string, string>) =>
      write(store, (await anOrganization(store, { name })).guid, { labels });
    await make('prod', { env: 'prod', tier: 'web' });
    await make('dev', { env: 'dev' });
    await make('bare', {});
    const rows = await store.read
      .selectFrom('organizations')
      .select('name')
      .where(labelSelectorCondition('organization', 'organizations.guid', selector))
      .orderBy('name')
      .execute();
    expect(rows.map(({ name }) => name)).toEqual(expected);
  });

  test.each([
    ['', 'Missing label_selector value'],
    ['a b', 'Invalid label_selector value'],
    ['env=pr od', "'pr od' contains invalid characters"],
    ["x' or 1=1 --=y", 'Invalid label_selector value'],
    [Array.from({ length: 51 }, () => 'a').join(','), 'Too many label_selector requirements (maximum is 50)'],
  ])('%j is 400', (selector, detail) => {
    expect(() => labelSelectorCondition('app', 'apps.guid', selector)).toThrow(
      `The query parameter is invalid: ${detail}`,
    );
  });
});
