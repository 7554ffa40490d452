/** go_buildpack: an app with a go.mod. Its programs are built from the modules that it has vendored, or that its go.sum names; the droplet needs no Go. */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, join, relative } from 'node:path';
import { StagingFailedError } from '@cupola/model/errors';
import type { Buildpack, Stage } from '../buildpack.ts';
import { explaining } from '../explain.ts';
import { answerOf, findProgram } from '../found-programs.ts';
import { compilerLimits } from './compilers.ts';
import { GO_HINTS } from './hints.ts';
import { askedPackages, chosenPackages, moduleName, webProgram } from './packages.ts';

/** Besides the usual places: where Go's own archive is unpacked. */
const GO_FOLDERS = ['/usr/local/go/bin', '/usr/local/bin', '/usr/bin', '/usr/lib/go/bin'];

export const goBuildpack: Buildpack = {
  name: 'go_buildpack',
  title: 'Go',
  detect: async app => (existsSync(join(app, 'go.mod')) ? 'go' : null),
  compile,
  release: async ({ app, deps }) => {
    const web = webProgram(await readdir(join(deps, 'bin')), moduleName(await readGoMod(app)));
    return web === null ? {} : { web: `./bin/${web}` };
  },
};

const readGoMod = (app: string): Promise<string> => readFile(join(app, 'go.mod'), 'utf8').catch(() => '');

async function compile(stage: Stage): Promise<void> {
  const goMod = await readGoMod(stage.app);
  if (goMod === '')
    throw new StagingFailedError(
      'BuildpackCompileFailed',
      'There is no go.mod. Run "go mod init" and "go mod tidy" where you develop, and push what they write.',
    );
  const go = await chooseGo(stage);
  const environment = buildEnvironment(stage, go);
  const packages = await packagesOf(stage, goMod, { go, environment });
  if (stage.environment.CGO_ENABLED === undefined && !(await usesC(stage, packages, { go, environment })))
    environment.CGO_ENABLED = '0';
  if (existsSync(join(stage.app, 'vendor/modules.txt'))) stage.say('       Modules are taken from the folder vendor');
  stage.say(`-----> Running go install ${packages.join(' ')}`);
  const linked = linkerFlags(stage.environment);
  await explaining(stage.app, GO_HINTS, () => stage.run([go, 'install', ...linked, ...packages], environment));
  await linkPrograms(stage);
  const folders = [join(stage.app, 'bin'), join(stage.deps, 'bin')].join(':');
  await writeFile(join(stage.profileD, 'go.sh'), `export PATH="$PATH:${folders}"\n`);
}

async function chooseGo(stage: Stage): Promise<string> {
  const go = findProgram('go', GO_FOLDERS);
  if (go === null)
    throw new StagingFailedError(
      'BuildpackCompileFailed',
      'Go is not on this machine. As root: apt-get install golang-go; then push again.',
    );
  const version = await answerOf([go, 'version'], { ...stage.environment, GOTOOLCHAIN: 'local' });
  stage.say(`-----> ${version ?? 'Go'}`);
  return go;
}

/** Modules and compiled packages are kept for the next push. What is compiled holds no path, time or revision: the same sources give the same program. */
function buildEnvironment({ app, deps, cache, environment }: Stage, go: string): Record<string, string> {
  const limits = compilerLimits(environment.MEMORY_LIMIT, availableParallelism());
  const flags = ['-trimpath', '-buildvcs=false', '-modcacherw', ...limits.flags, environment.GOFLAGS ?? ''];
  return {
    ...(environment.GOMEMLIMIT === undefined ? limits.variables : {}),
    GOBIN: join(deps, 'bin'),
    GOPATH: join(cache, 'gopath'),
    GOMODCACHE: join(cache, 'modules'),
    GOCACHE: environment.GOCACHE ?? join(cache, 'compiled'),
    // Writable, so that an app's cache can be thrown away.
    GOFLAGS: flags.join(' ').trim(),
    PATH: `${join(go, '..')}:${environment.PATH ?? '/usr/bin:/bin'}`,
    PWD: app,
  };
}

async function packagesOf(
  stage: Stage,
  goMod: string,
  { go, environment }: { go: string; environment: Record<string, string> },
): Promise<string[]> {
  const asked = askedPackages(goMod, stage.environment);
  if (asked.length > 0) return asked;
  const format = '{{if eq .Name "main"}}{{.ImportPath}}{{end}}';
  const listed = await explaining(stage.app, GO_HINTS, () =>
    stage.read([go, 'list', '-e', '-f', format, './...'], environment),
  );
  const mains = listed.split('\n').filter(line => line !== '');
  const chosen = chosenPackages(mains, moduleName(goMod));
  if (chosen.length > 0) return chosen;
  throw new StagingFailedError(
    'BuildpackCompileFailed',
    'There is no package main in this module. Push the folder of a program, or name its package: cf set-env APP GO_INSTALL_PACKAGE_SPEC ./cmd/NAME.',
  );
}

/**
 * Whether a package of the app or of its modules is C in part. Where none is, Go needs no C compiler for the standard library either: that is a third of the
 * time of a first push, and the program needs nothing of the stack.
 */
async function usesC(
  stage: Stage,
  packages: readonly string[],
  { go, environment }: { go: string; environment: Record<string, string> },
): Promise<boolean> {
  const format = '{{if not .Standard}}{{if .CgoFiles}}{{.ImportPath}}{{end}}{{end}}';
  const argv = [go, 'list', '-e', '-deps', '-f', format, ...packages];
  const listed = await explaining(stage.app, GO_HINTS, () => stage.read(argv, { ...environment, CGO_ENABLED: '1' }));
  return listed.trim() !== '';
}

/** A value put into a program at link time, as Heroku and CF let it be set. */
function linkerFlags({ GO_LINKER_SYMBOL, GO_LINKER_VALUE }: Readonly<Record<string, string>>): string[] {
  if (GO_LINKER_SYMBOL === undefined || GO_LINKER_VALUE === undefined) return [];
  return ['-ldflags', `-X '${GO_LINKER_SYMBOL}=${GO_LINKER_VALUE}'`];
}

/** In the app's `bin`, where Procfiles look for them; a file that was pushed there under that name stays. */
async function linkPrograms({ app, deps }: Stage): Promise<void> {
  const folder = join(app, 'bin');
  await mkdir(folder, { recursive: true });
  for (const name of await readdir(join(deps, 'bin')))
    if (!existsSync(join(folder, name)))
      await symlink(relative(folder, join(deps, 'bin', basename(name))), join(folder, name));
}
