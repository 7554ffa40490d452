import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { aFolder, aStage, freePort } from '../fixtures.ts';
import { findProgram } from '../found-programs.ts';
import { phpBuildpack } from './php.ts';
import { readPhpSettings, webFolder } from './settings.ts';

const noPhp = findProgram('php') === null;
const folderOf = async (files: Record<string, string>): Promise<string> => {
  using app = aFolder(files);
  return webFolder(app.path, await readPhpSettings(app.path));
};

test("webFolder() is what CF's options say, else a folder by a usual name, else the app's own", async () => {
  const options = (text: string) => ({ '.bp-config/options.json': text, 'public/index.php': '' });
  expect(await folderOf(options('{"WEBDIR": "www/"}'))).toBe('www/');
  expect(await folderOf(options('{"WEBDIR": "../../etc"}'))).toBe('public');
  expect(await folderOf(options('no json'))).toBe('public');
  expect(await folderOf({ 'htdocs/a': '', 'public/b': '' })).toBe('htdocs');
  expect(await folderOf({ 'index.php': '' })).toBe('.');
});

test('php_buildpack is for pages and for composer', async () => {
  const detect = async (files: Record<string, string>): Promise<string | null> => {
    using app = aFolder(files);
    return await phpBuildpack.detect(app.path);
  };
  expect(await detect({ 'public/index.php': '' })).toBe('php 0.1.0');
  expect(await detect({ 'composer.json': '{}' })).toBe('php 0.1.0');
  expect(await detect({ 'lib/a.php': '' })).toBeNull();
});

test.skipIf(noPhp)('php_buildpack serves files, gives other paths to index.php, and shows no settings', async () => {
  using stage = aStage({
    'public/index.php': '<?php echo "index of " . $_SERVER["REQUEST_URI"];',
    'public/a.txt': 'a file',
    'public/.env': 'SECRET=1',
  });
  await phpBuildpack.compile(stage);
  const { web = '' } = await phpBuildpack.release(stage);
  const port = await freePort();
  const env = { ...process.env, PORT: String(port) };
  const server = spawn('bash', ['-c', `exec ${web}`], { cwd: stage.app, env, stdio: 'ignore' });
  const ask = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return [response.status, await response.text()];
  };
  try {
    await vi.waitUntil(() => ask('/').catch(() => null), { timeout: 50_000 });
    expect(await ask('/a.txt')).toEqual([200, 'a file']);
    expect(await ask('/posts/1?x=2')).toEqual([200, 'index of /posts/1?x=2']);
    expect((await ask('/.env'))[0]).toBe(404);
    expect((await ask('/%2e%2e/%2e%2e/router.php'))[1]).toContain('index of');
  } finally {
    server.kill('SIGKILL');
  }
  expect(web).toContain(join(stage.deps, 'router.php'));
  const heroku = readFileSync(join(stage.deps, 'bin/heroku-php-apache2'), 'utf8');
  expect(heroku).toContain(`-t "$folder" ${stage.deps}/router.php`);
});
