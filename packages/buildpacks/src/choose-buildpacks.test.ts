import { expect, test } from 'vitest';
import { chooseBuildpacks } from './choose-buildpacks.ts';
import { aFolder } from './fixtures.ts';

const ORDER = ['staticfile_buildpack', 'nodejs_buildpack', 'binary_buildpack'];
const names = (chosen: Awaited<ReturnType<typeof chooseBuildpacks>>): string[] =>
  chosen.map(({ buildpack }) => buildpack.name);

test('chooseBuildpacks() detects by package.json, by Staticfile and, last, by Procfile', async () => {
  using node = aFolder({ 'package.json': '{}', Procfile: 'web: node x' });
  using site = aFolder({ Staticfile: '' });
  using program = aFolder({ Procfile: 'web: ./run' });
  const detect = (app: string) => chooseBuildpacks(app, { asked: [], detectOrder: ORDER });
  expect(names(await detect(node.path))).toEqual(['nodejs_buildpack']);
  expect(names(await detect(site.path))).toEqual(['staticfile_buildpack']);
  expect(names(await detect(program.path))).toEqual(['binary_buildpack']);
});

test('chooseBuildpacks() follows the order of detection', async () => {
  using both = aFolder({ 'package.json': '{}', Staticfile: '' });
  const chosen = await chooseBuildpacks(both.path, { asked: [], detectOrder: ORDER });
  expect(chosen).toMatchObject([{ askedAs: 'staticfile_buildpack', detectOutput: 'staticfile 0.1.0' }]);
});

test('chooseBuildpacks() tells what the last of those asked for has detected', async () => {
  using both = aFolder({ 'package.json': '{}', 'go.mod': 'module x' });
  const chosen = await chooseBuildpacks(both.path, { asked: ['nodejs_buildpack', 'go_buildpack'], detectOrder: ORDER });
  expect(chosen.map(({ detectOutput }) => detectOutput)).toEqual(['', 'go']);
});

test('chooseBuildpacks() takes those asked for without detection, in their order, by name or well-known address', async () => {
  using page = aFolder({ 'index.html': '' });
  const asked = ['https://github.com/cloudfoundry/nodejs-buildpack.git#v1.8.1', 'staticfile_buildpack'];
  const chosen = await chooseBuildpacks(page.path, { asked, detectOrder: [] });
  expect(names(chosen)).toEqual(['nodejs_buildpack', 'staticfile_buildpack']);
  expect(chosen.map(({ askedAs }) => askedAs)).toEqual(asked);
});

test('chooseBuildpacks() says what to push when none takes the app, and which there are when one is unknown', async () => {
  using page = aFolder({ 'index.html': '' });
  await expect(chooseBuildpacks(page.path, { asked: [], detectOrder: ORDER })).rejects.toMatchObject({
    title: 'NoAppDetectedError',
    message: expect.stringContaining('-b staticfile_buildpack'),
  });
  await expect(chooseBuildpacks(page.path, { asked: ['cobol_buildpack'], detectOrder: [] })).rejects.toThrow(
    /"cobol_buildpack" is not installed here.*binary_buildpack/,
  );
});
