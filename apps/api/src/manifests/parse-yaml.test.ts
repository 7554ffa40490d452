import { describe, expect, test } from 'vitest';
import { parseManifestYaml } from './parse-yaml.ts';

describe('parseManifestYaml()', () => {
  test('reads a manifest, with merge keys and anchors', async () => {
    const text = 'defaults: &d\n  memory: 64M\napplications:\n- <<: *d\n  name: a\n';
    expect(await parseManifestYaml(text)).toEqual({
      defaults: { memory: '64M' },
      applications: [{ memory: '64M', name: 'a' }],
    });
  });

  test('reads a long manifest in its thread', async () => {
    const text = `applications:\n${'- name: a\n  memory: 1G\n'.repeat(2_000)}`;
    const value = (await parseManifestYaml(text)) as { applications: unknown[] };
    expect(value.applications).toHaveLength(2_000);
  });

  test('what is no YAML is a parse error that names the place', async () => {
    await expect(parseManifestYaml('applications: [')).rejects.toMatchObject({
      name: 'InvalidRequestError',
      title: 'MessageParseError',
      message: expect.stringMatching(/line 1/),
    });
  });

  test('a billion laughs are refused', async () => {
    const rows = ['a0: &a0 [x,x,x,x,x,x,x,x,x]'];
    for (let at = 1; at < 12; at++)
      rows.push(
        `a${at}: &a${at} [${Array(9)
          .fill(`*a${at - 1}`)
          .join(',')}]`,
      );
    await expect(parseManifestYaml(rows.join('\n'))).rejects.toMatchObject({ name: 'UnprocessableError' });
  });

  test('a few aliases that multiply are refused as well', async () => {
    const rows = ['a0: &a0 [x,x,x,x,x,x,x,x,x]'];
    for (let at = 1; at < 9; at++)
      rows.push(
        `a${at}: &a${at} [${Array(9)
          .fill(`*a${at - 1}`)
          .join(',')}]`,
      );
    await expect(parseManifestYaml(rows.join('\n'))).rejects.toMatchObject({ name: 'UnprocessableError' });
  });

  test('anchors that cost their square end with the budget', async () => {
    const rows = Array.from({ length: 40_000 }, (_, at) => `k${at}: &a${at} [*a${Math.max(0, at - 1)}]`);
    await expect(parseManifestYaml(rows.join('\n'))).rejects.toMatchObject({ name: 'UnprocessableError' });
  });

  test('more than 32 levels are refused', async () => {
    await expect(parseManifestYaml(`applications: ${'['.repeat(40)}${']'.repeat(40)}`)).rejects.toThrow(/32 levels/);
  });

  test('a text over 1 MiB is refused before it is read', async () => {
    await expect(parseManifestYaml('#'.repeat(1024 * 1024 + 1))).rejects.toThrow(/1048577 bytes/);
  });

  test.each(['a: !!js/function x', 'a: !ruby/object:Gem {}', 'a: !custom 1'])(
    'a tag of its own is refused: %s',
    async text => {
      await expect(parseManifestYaml(text)).rejects.toMatchObject({ name: 'UnprocessableError' });
    },
  );
});
