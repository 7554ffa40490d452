import { execFileSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { aStage } from '../fixtures.ts';
import { findProgram } from '../found-programs.ts';
import { goBuildpack } from './go.ts';

/** Where this machine's Go has compiled nothing yet, it compiles its runtime first. */
const SLOW = { timeout: 240_000 };
const noGo = findProgram('go', ['/usr/local/go/bin', '/usr/local/bin', '/usr/bin', '/usr/lib/go/bin']) === null;
/** Without the standard library's larger parts, which take long to compile. */
const TINY =
  'package main\n\nimport _ "embed"\n\n//go:embed name.txt\nvar name string\nvar version = "none"\n\nfunc main() { println(name, version) }\n';
/** What this machine's Go has compiled before: the standard library need not be compiled for each test. */
const GOCACHE = join(homedir(), '.cache/go-build');
const run = (program: string): string => execFileSync('sh', ['-c', '"$0" 2>&1', program], { encoding: 'utf8' });

test.skipIf(noGo)(
  'go_buildpack builds the program, links it into bin, and sets what the linker is told',
  SLOW,
  async () => {
    const asked = { GO_LINKER_SYMBOL: 'main.version', GO_LINKER_VALUE: '1.2 beta', GOCACHE };
    using stage = aStage(
      { 'go.mod': 'module example.com/shop\n\ngo 1.19\n', 'main.go': TINY, 'name.txt': 'shop' },
      asked,
    );
    await goBuildpack.compile(stage);
    expect(await goBuildpack.release(stage)).toEqual({ web: './bin/shop' });
    expect(run(join(stage.app, 'bin/shop'))).toBe('shop 1.2 beta\n');
    expect(readlinkSync(join(stage.app, 'bin/shop'))).toBe('../../deps/0/bin/shop');
  },
);

test.skipIf(noGo)(
  'go_buildpack says what to run where a module is missing, what does not compile, what to push',
  SLOW,
  async () => {
    const compile = async (files: Record<string, string>): Promise<void> => {
      using stage = aStage(files, { GOFLAGS: '-mod=readonly', GOCACHE });
      await goBuildpack.compile(stage);
    };
    const goMod = 'module example.com/a\n\ngo 1.19\n';
    await expect(
      compile({ 'go.mod': goMod, 'main.go': 'package main\nimport _ "example.org/lib"\nfunc main() {}\n' }),
    ).rejects.toThrow(/go\.mod does not name the module of example\.org\/lib: run "go mod tidy"/);
    await expect(compile({ 'go.mod': goMod, 'main.go': 'package main\nfunc main() { x }\n' })).rejects.toThrow(
      /it does not compile: undefined: x/,
    );
    await expect(compile({ 'go.mod': goMod, 'lib.go': 'package lib\n' })).rejects.toThrow(
      /no package main.*GO_INSTALL_PACKAGE_SPEC/,
    );
    await expect(compile({ 'main.go': TINY })).rejects.toThrow(/There is no go\.mod.*go mod init/);
  },
);
