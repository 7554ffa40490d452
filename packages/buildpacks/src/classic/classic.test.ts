import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { aFolder, aStage, type TestFolder } from '../fixtures.ts';
import { answerOf } from '../found-programs.ts';
import { classicBuildpack } from './classic.ts';
import { cloneBuildpack, cloneCommand } from './git.ts';
import { readLaunch, readRelease } from './processes.ts';
import { suppliedVariables, writeSuppliedProfile } from './supplied.ts';

const script = (body: string): string => `#!/bin/sh\nset -e\n${body}\n`;
const buildpackIn = ({ path }: TestFolder) =>
  classicBuildpack({ name: 'mine', folder: path }, argv => answerOf(argv, { PATH: process.env.PATH ?? '' }));

test('classicBuildpack() calls supply, finalize and release as Cloud Foundry does', async () => {
  using folder = aFolder({
    VERSION: '1.2.3\n',
    'bin/detect': script('test -f "$1/my.app" && echo "mine 1.2.3"'),
    'bin/supply': script('mkdir -p "$3/$4/bin"; echo supplied > "$3/$4/bin/note"; echo kept > "$2/kept"'),
    'bin/finalize': script('test -f "$3/$4/bin/note"; echo "export X=1" > "$5/mine.sh"; echo "$STACK" > "$1/stack"'),
    'bin/release': script('printf -- "---\\ndefault_process_types:\\n  web: ./run\\n"'),
  });
  using stage = aStage({ 'my.app': '' }, { CF_STACK: 'host' });
  const buildpack = buildpackIn(folder);
  await buildpack.compile(stage);
  expect(await buildpack.detect(stage.app)).toBe('mine 1.2.3');
  expect(await buildpack.release(stage)).toEqual({ web: './run' });
  expect(buildpack.version).toBe('1.2.3');
  expect(readFileSync(join(stage.cache, 'kept'), 'utf8')).toBe('kept\n');
  expect(readFileSync(join(stage.profileD, 'mine.sh'), 'utf8')).toBe('export X=1\n');
  expect(readFileSync(join(stage.app, 'stack'), 'utf8')).toBe('host\n');
});

test('classicBuildpack() does not take an app that its detect refuses', async () => {
  using folder = aFolder({ 'bin/detect': script('exit 1'), 'bin/compile': script('true') });
  execFileSync('chmod', ['+x', join(folder.path, 'bin/detect')]);
  expect(await buildpackIn(folder).detect('/')).toBeNull();
});

test('classicBuildpack() compiles by bin/compile where there is no finalize, and keeps no folder of dependencies', async () => {
  using folder = aFolder({ 'bin/compile': script('test $# -eq 2; echo done > "$1/done"') });
  using stage = aStage({});
  await buildpackIn(folder).compile(stage);
  expect(existsSync(join(stage.app, 'done'))).toBe(true);
  expect(existsSync(stage.deps)).toBe(false);
});

test('classicBuildpack() says which program failed, what it lacks, and where it belongs', async () => {
  using fails = aFolder({ 'bin/finalize': script('exit 7') });
  using lacks = aFolder({ 'src/x': '' });
  using last = aFolder({ 'bin/compile': script('true') });
  using stage = aStage({});
  await expect(buildpackIn(fails).compile(stage)).rejects.toThrow(
    /bin\/finalize of buildpack "mine" failed \(exit status 7\)/,
  );
  await expect(buildpackIn(lacks).compile(stage)).rejects.toThrow(/neither bin\/finalize nor bin\/compile/);
  await expect(buildpackIn(last).supply?.(stage)).rejects.toThrow(/only be the last.*Put it last/);
});

test('readRelease() takes commands only, and no YAML with references', async () => {
  expect(await readRelease('default_process_types: {web: run, worker: 3, job: ""}\naddons: []', 'b')).toEqual({
    web: 'run',
  });
  expect(await readRelease('', 'b')).toEqual({});
  await expect(readRelease('a: &a [1]\nb: [*a,*a,*a,*a,*a,*a]', 'b')).rejects.toThrow(
    /bin\/release of buildpack "b" prints is no YAML/,
  );
});

test('readLaunch() tells sidecars from process types', async () => {
  using deps = aFolder({
    'launch.yml': `processes:
- {type: web, command: run}
- {type: agent, command: watch, platforms: {cloudfoundry: {sidecar_for: [web, worker]}}}
- {type: 7, command: x}
`,
  });
  expect(await readLaunch(deps.path)).toEqual({
    processTypes: { web: 'run' },
    sidecars: [{ name: 'agent', processTypes: ['web', 'worker'], command: 'watch' }],
  });
  expect(await readLaunch('/nonexistent')).toEqual({ processTypes: {}, sidecars: [] });
});

test('suppliedVariables() puts the later buildpack first, and reads env files', () => {
  using one = aFolder({ 'bin/a': '', 'lib/b': '', 'env/JAVA_HOME': '/j\n' });
  using two = aFolder({ 'bin/c': '' });
  expect(suppliedVariables([one.path, two.path], { PATH: '/bin' })).toEqual({
    PATH: `${two.path}/bin:${one.path}/bin:/bin`,
    LD_LIBRARY_PATH: `${one.path}/lib`,
    LIBRARY_PATH: `${one.path}/lib`,
    JAVA_HOME: '/j',
  });
});

test('writeSuppliedProfile() makes a start find programs and scripts of all, unless the last buildpack has done it', () => {
  using deps = aFolder({ 'bin/hello': script('echo hi'), 'profile.d/x.sh': 'export Y=2\n' });
  using profileD = aFolder({});
  execFileSync('chmod', ['+x', join(deps.path, 'bin/hello')]);
  writeSuppliedProfile([deps.path], profileD.path);
  const source = `for f in ${profileD.path}/*; do . $f; done; hello; echo $Y`;
  expect(execFileSync('sh', ['-c', source], { encoding: 'utf8' })).toBe('hi\n2\n');
  using theirs = aFolder({ '000_multi-supply.sh': 'theirs' });
  writeSuppliedProfile([deps.path], theirs.path);
  expect(readFileSync(join(theirs.path, '000_multi-supply.sh'), 'utf8')).toBe('theirs');
});

const GIT = ['-c', 'user.name=t', '-c', 'user.email=t@t', '-c', 'init.defaultBranch=main'];

test('cloneBuildpack() fetches a branch of a repository, and says so where there is none', async () => {
  using repository = aFolder({ 'bin/compile': script('true') });
  const git = (...args: string[]) => execFileSync('git', [...GIT, ...args], { cwd: repository.path, stdio: 'pipe' });
  git('init', '-q');
  git('add', '.');
  git('commit', '-qm', 'one');
  git('branch', 'v2');
  using stage = aStage({});
  const target = join(stage.cache, 'cloned');
  await cloneBuildpack({ url: `file://${repository.path}`, ref: 'v2' }, target, stage.run);
  expect(existsSync(join(target, 'bin/compile'))).toBe(true);
  const missing = cloneBuildpack(
    { url: `file://${repository.path}`, ref: 'v3' },
    join(stage.cache, 'other'),
    stage.run,
  );
  await expect(missing).rejects.toThrow(/could not be fetched: v3 of file:.*cf create-buildpack/);
});

test('cloneCommand() allows the protocol of the address alone, and ends its options before it', () => {
  const command = cloneCommand('git', { url: 'https://git.example/x', ref: null }, '/tmp/x');
  expect(command).toContain('protocol.allow=never');
  expect(command.slice(-3)).toEqual(['--end-of-options', 'https://git.example/x', '/tmp/x']);
  expect(command.filter(word => word.endsWith('.allow=always'))).toEqual(['protocol.https.allow=always']);
});
