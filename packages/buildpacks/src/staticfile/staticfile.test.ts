import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { aStage, freePort } from '../fixtures.ts';
import { readStaticfile } from './read-staticfile.ts';
import { staticfileBuildpack } from './staticfile.ts';

test('readStaticfile() reads what the server knows, and names the rest', async () => {
  using stage = aStage({
    Staticfile:
      'root: dist\nhost_dot_files: true\npushstate: enabled\nhttp_strict_transport_security: true\nstatus_codes:\n  404: /404.html\n  5xx: sorry.html\nssi: enabled\n',
    'dist/index.html': '',
  });
  expect(await readStaticfile(stage.app)).toEqual({
    root: 'dist',
    settings: {
      hostDotFiles: true,
      directoryIndex: false,
      pushState: true,
      forceHttps: false,
      strictTransport: 'max-age=31536000',
      statusPages: { 404: '/404.html', '5xx': '/sorry.html' },
    },
    ignored: ['ssi'],
  });
});

test('readStaticfile() refuses a root that is not there, is a file, or lies outside, and what is no YAML', async () => {
  using missing = aStage({ Staticfile: 'root: dist\n' });
  using file = aStage({ Staticfile: 'root: a\n', a: '' });
  using outside = aStage({ Staticfile: 'root: ../..\n' });
  using text = aStage({ Staticfile: 'root: [a\n' });
  await expect(readStaticfile(missing.app)).rejects.toThrow(/root directory dist that does not exist/);
  await expect(readStaticfile(file.app)).rejects.toThrow(/a plain file/);
  await expect(readStaticfile(outside.app)).rejects.toThrow(/outside the app/);
  await expect(readStaticfile(text.app)).rejects.toMatchObject({ title: 'BuildpackCompileFailed' });
});

test('staticfile_buildpack leaves settings, manifest and dot files out of the site', async () => {
  using stage = aStage({
    Staticfile: '',
    'Staticfile.auth': 'a:b',
    'manifest.yml': '',
    '.env': 'x',
    '.profile': 'x',
    'index.html': 'hi',
    'public/old.html': '',
  });
  await staticfileBuildpack.compile(stage);
  expect(readdirSync(join(stage.app, 'public')).sort()).toEqual(['index.html', 'public']);
  expect(existsSync(join(stage.app, '.profile'))).toBe(true);
});

test('staticfile_buildpack starts a server that serves the site on PORT, and ends on SIGTERM', async () => {
  using stage = aStage({ Staticfile: 'pushstate: enabled\n', 'index.html': 'the site' });
  await staticfileBuildpack.compile(stage);
  const { web = '' } = await staticfileBuildpack.release(stage);
  const [, script = ''] = web.split(' ');
  const port = await freePort();
  const server = spawn(process.execPath, [script], { cwd: stage.app, env: { PORT: String(port) } });
  const [line] = (await once(createInterface(server.stdout), 'line')) as [string];
  expect(line).toContain(`on port ${port}`);
  const answer = await fetch(`http://127.0.0.1:${port}/any/where`, { headers: { connection: 'close' } });
  expect(await answer.text()).toBe('the site');
  server.kill('SIGTERM');
  expect(await once(server, 'exit')).toEqual([0, null]);
});
