import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { aStage, type TestStage } from '../fixtures.ts';
import { nodejsBuildpack } from './nodejs.ts';

/** Starts a command as the launcher does: the profile script sourced, then bash in the app's folder. */
function launch(stage: TestStage, command: string, environment: Record<string, string> = {}) {
  return spawnSync('/bin/bash', ['-c', `. ${stage.profileD}/node.sh; ${command}`], {
    cwd: stage.app,
    encoding: 'utf8',
    // Bash takes a socket for a remote shell's, and would read the user's own settings.
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: '/usr/bin:/bin', ...environment },
  });
}

test('release() starts scripts.start, else server.js, else main, else nothing', async () => {
  using script = aStage({ 'package.json': '{"scripts":{"start":"x"},"main":"m.js"}', 'server.js': '' });
  using server = aStage({ 'package.json': '{"main":"m.js"}', 'server.js': '', 'm.js': '' });
  using main = aStage({ 'package.json': '{"main":"lib/it is.js"}', 'lib/it is.js': '' });
  using none = aStage({ 'package.json': '{}' });
  expect(await nodejsBuildpack.release(script)).toEqual({ web: 'npm start' });
  expect(await nodejsBuildpack.release(server)).toEqual({ web: 'node server.js' });
  expect(await nodejsBuildpack.release(main)).toEqual({ web: "node 'lib/it is.js'" });
  expect(await nodejsBuildpack.release(none)).toEqual({});
});

test('`npm start` runs the start script with its variables and quotes, in place of itself', async () => {
  const start = `node -p "process.env.npm_lifecycle_event + ' ' + process.env.npm_package_version + ' it'"; tool`;
  using stage = aStage({
    'package.json': JSON.stringify({ name: 'app', version: '1.2.3', scripts: { start } }),
    'node_modules/.bin/tool': '#!/bin/sh\necho from the app\n',
  });
  await nodejsBuildpack.compile(stage);
  spawnSync('chmod', ['755', join(stage.app, 'node_modules/.bin/tool')]);
  const { stdout, stderr, status } = launch(stage, 'npm start');
  expect({ stdout, stderr, status }).toEqual({
    stdout: `\n> app@1.2.3 start\n> ${start}\n\nstart 1.2.3 it\nfrom the app\n`,
    stderr: '',
    status: 0,
  });
  expect(launch(stage, 'npm start; echo $?').stdout).toContain('\n0\n');
});

test('`npm start` of one plain program leaves no shell beside it', async () => {
  using stage = aStage({
    'package.json': '{"scripts":{"start":"node show.js"}}',
    'show.js': "console.log(require('fs').readFileSync('/proc/' + process.ppid + '/comm', 'utf8').trim())",
  });
  await nodejsBuildpack.compile(stage);
  expect(launch(stage, 'npm start; true').stdout).toContain('\nbash\n');
});

test('`npm start` is left to npm where there is more to it', async () => {
  using before = aStage({ 'package.json': '{"scripts":{"start":"a","prestart":"b"}}' });
  using shell = aStage({ 'package.json': '{"scripts":{"start":"a"}}', '.npmrc': 'script-shell=/bin/bash\n' });
  await nodejsBuildpack.compile(before);
  await nodejsBuildpack.compile(shell);
  expect(() => readFileSync(join(before.deps, 'bin/npm'))).toThrow(/ENOENT/);
  expect(() => readFileSync(join(shell.deps, 'bin/npm'))).toThrow(/ENOENT/);
});

test('the profile keeps the heap under the memory limit, and leaves what the user has set', async () => {
  using stage = aStage({ 'package.json': '{}' });
  await nodejsBuildpack.compile(stage);
  const show = (environment: Record<string, string>) =>
    launch(stage, 'echo "$NODE_ENV|$NODE_OPTIONS|$MEMORY_AVAILABLE"', environment).stdout.trim();
  expect(show({ MEMORY_LIMIT: '64m' })).toBe('production|--max-old-space-size=48|64');
  expect(show({ MEMORY_LIMIT: '2G', NODE_OPTIONS: '--trace-uncaught' })).toBe(
    'production|--trace-uncaught --max-old-space-size=1536|2048',
  );
  expect(show({ MEMORY_LIMIT: '64m', NODE_OPTIONS: '--max-old-space-size=20' })).toContain('|--max-old-space-size=20|');
  expect(show({ NODE_ENV: 'test' })).toBe('test||');
});

test("the profile puts Node.js before the machine's own, and the programs of the app behind", async () => {
  using stage = aStage({ 'package.json': '{}' });
  await nodejsBuildpack.compile(stage);
  expect(launch(stage, 'node -p process.version').stdout.trim()).toBe(process.version);
});

test('compile() warns of a start script that runs what a development dependency brought', async () => {
  const of = (start: string): string => JSON.stringify({ scripts: { start }, devDependencies: { '@nestjs/cli': '1' } });
  using nest = aStage({ 'package.json': of('nest start') });
  using shell = aStage({ 'package.json': of('cd lib && node x.js') });
  await nodejsBuildpack.compile(nest);
  await nodejsBuildpack.compile(shell);
  expect(nest.said.join('\n')).toContain('"npm start" runs nest, which is not there');
  expect(shell.said.join('\n')).not.toContain('which is not there');
});
