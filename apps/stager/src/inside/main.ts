/**
 * One build, inside its sandbox, under a uid that owns nothing but this: unpack, detect, compile, pack. It speaks to the stager over one socket, and prints
 * what belongs into the staging log. The stager trusts nothing of it: sizes, digests and names are checked outside. What only some builds need is loaded when
 * they do: half of the time of a small app's build goes by before its first line.
 */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tarBytes } from '@cupola/archive/tar-bytes';
import { unzip } from '@cupola/archive/unzip';
import { BUILDPACK_VERSION, CommandFailedError, type Stage } from '@cupola/buildpacks/buildpack';
import { type Chosen, chooseBuildpacks, type FindOther } from '@cupola/buildpacks/choose-buildpacks';
import { type Launch, readLaunch } from '@cupola/buildpacks/classic/processes';
import { suppliedVariables } from '@cupola/buildpacks/classic/supplied';
import { isRange } from '@cupola/buildpacks/nodejs/is-range';
import { ArchiveRefusedError, StagingFailedError } from '@cupola/model/errors';
import { SYSTEM_BUILDPACKS, systemBuildpack } from '@cupola/model/system-buildpacks';
import type { Begin } from '../protocol.ts';
import { type Connection, openConnection } from './connection.ts';

/** As shells say that SIGKILL ended something. */
const KILLED = 137;

/** Loads all that a build may need, and does nothing: fills the compile cache. */
export async function loadAll(): Promise<void> {
  const { parseProcfile } = await import('@cupola/buildpacks/procfile');
  // The quotes make this Procfile one for the YAML library.
  await parseProcfile('web: "true"');
  await Promise.all([import('./run-command.ts'), import('./end-others.ts'), import('./links.ts')]);
  await chooseBuildpacks('/', {
    asked: SYSTEM_BUILDPACKS,
    detectOrder: [],
  });
  await isRange('*');
}

type Run = (argv: readonly string[], environment: Readonly<Record<string, string>>, quiet: boolean) => Promise<string>;

/** @returns the exit code: 0 once the stager has the result, be it a failure of the app. */
export async function stageInside(socketPath: string): Promise<number> {
  const connection = await openConnection(socketPath);
  // A command that was killed ends the build as killed too: the sandbox knows whether its limit was the cause.
  let code = 0;
  let hasRun = false;
  const run: Run = async (argv, environment, quiet) => {
    hasRun = true;
    const { runCommand } = await import('./run-command.ts');
    try {
      return await runCommand(argv, { cwd: join(connection.begin.home, 'app'), environment, quiet });
    } catch (error) {
      if (error instanceof CommandFailedError && error.wasKilled) code = KILLED;
      throw error;
    }
  };
  try {
    await stage(connection, run, async () => {
      if (!hasRun) return;
      if (connection.begin.ownPids) (await import('./end-others.ts')).endOthers();
      (await import('./links.ts')).linkAtStart(connection.begin.home);
    });
  } catch (error) {
    const { title, message } = asFailure(error);
    await connection.send({ type: 'failed', title, error: message });
  }
  await connection.close();
  return code;
}

function asFailure(error: unknown): { title: string; message: string } {
  if (error instanceof StagingFailedError) return { title: error.title, message: error.message };
  if (error instanceof ArchiveRefusedError) return { title: 'AppBitsUploadInvalid', message: error.message };
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return {
      title: 'BuildpackCompileFailed',
      message: 'The disk of the build is full: push less, or ask the operator for a larger staging disk.',
    };
  // Not the app's: the stager tells it from the empty title, and tries again.
  return { title: '', message: (error as Error).stack ?? message };
}

/** `settle` ends what the build has left running, and takes out what no layer holds. */
async function stage(connection: Connection, run: Run, settle: () => Promise<void>): Promise<void> {
  const { begin } = connection;
  const app = join(begin.home, 'app');
  const profileD = join(begin.home, 'profile.d');
  for (const folder of [app, profileD, join(begin.home, 'logs'), join(begin.home, 'tmp'), begin.tools])
    await mkdir(folder, { recursive: true });
  await unzip(begin.packageFile, app, { unpackedMaxBytes: begin.unpackedMaxBytes });
  await writeFile(join(begin.tools, '.npmrc'), begin.npmrc, { mode: 0o600 });
  if (begin.mavenSettings !== null) {
    await mkdir(join(begin.tools, '.m2'), { recursive: true });
    await writeFile(join(begin.tools, '.m2/settings.xml'), begin.mavenSettings, { mode: 0o600 });
  }

  const environment = buildEnvironment(begin, app);
  const chosen = await chooseBuildpacks(app, { ...begin, findOther: await finder(begin, run, environment) });
  const shared: SharedStage = { connection, run, app, profileD, environment, offered: [], before: [] };
  const stages = chosen.map(({ buildpack }, index) => makeStage(shared, { index, cache: cacheName(buildpack.name) }));
  for (const [index, { buildpack }] of chosen.entries()) {
    const its = stages[index] as Stage;
    await mkdir(its.deps, { recursive: true });
    await mkdir(its.cache, { recursive: true });
    const version = buildpack.version === undefined ? BUILDPACK_VERSION : buildpack.version;
    its.say(`-----> ${buildpack.title} Buildpack${version === null ? '' : ` version ${version}`}`);
    const isLast = index === chosen.length - 1;
    await (isLast || buildpack.supply === undefined ? buildpack.compile(its) : buildpack.supply(its));
    shared.before.push(its.deps);
  }
  const { processTypes, sidecars } = await release(app, chosen, stages);
  if (chosen.some(({ buildpack }) => isOther(buildpack)))
    (await import('@cupola/buildpacks/classic/supplied')).writeSuppliedProfile(shared.before, profileD);
  await writeFile(join(begin.home, 'staging_info.yml'), stagingInfo(chosen, processTypes));

  await settle();
  await connection.sendLayer(tarBytes(begin.home, 'home/vcap'));
  await connection.send({
    type: 'staged',
    processTypes,
    sidecars,
    buildpacks: chosen.map(({ buildpack, askedAs, detectOutput }) => ({
      name: askedAs,
      buildpackName: isOther(buildpack) ? buildpack.title : buildpack.title.toLowerCase(),
      detectOutput,
      version: buildpack.version === undefined ? BUILDPACK_VERSION : buildpack.version,
    })),
  });
}

const isOther = ({ name }: { name: string }): boolean => systemBuildpack(name) === null;
/** A folder's name: addresses are none. */
const cacheName = (name: string): string => encodeURIComponent(name).slice(0, 200);

/** Loaded only where it may be asked: most builds know all they need. */
async function finder(
  { asked, customBuildpacks, tools }: Begin,
  run: Run,
  environment: Record<string, string>,
): Promise<FindOther> {
  if (customBuildpacks.length === 0 && asked.every(name => systemBuildpack(name) !== null)) return async () => null;
  const { openOthers } = await import('./other-buildpacks.ts');
  return openOthers({
    zips: customBuildpacks,
    folder: join(tools, 'buildpacks'),
    run: async (argv, more) => void (await run(argv, { ...environment, ...more }, false)),
    read: argv => run(argv, environment, true),
  });
}

interface SharedStage {
  connection: Connection;
  run: Run;
  app: string;
  profileD: string;
  environment: Record<string, string>;
  /** Folders of programs, of the buildpacks that have run. */
  offered: string[];
  /** Folders of dependencies of the buildpacks that have run. */
  before: string[];
}

function makeStage(shared: SharedStage, { index, cache }: { index: number; cache: string }): Stage {
  const { connection, run, app, profileD, offered, before } = shared;
  const { home, cache: caches } = connection.begin;
  /** With what the buildpacks before have left: looked at when it is used. */
  const environment = (): Record<string, string> => {
    const supplied = { ...shared.environment, ...suppliedVariables(before, shared.environment) };
    return { ...supplied, PATH: [...offered, supplied.PATH].join(':') };
  };
  return {
    app,
    profileD,
    deps: join(home, 'deps', String(index)),
    cache: join(caches, cache),
    get environment() {
      return environment();
    },
    say: line => void process.stdout.write(`${line}\n`),
    offerPrograms: folder => void offered.unshift(folder),
    toolchain: ask => connection.toolchain(ask),
    run: async (argv, more) => void (await run(argv, { ...environment(), ...more }, false)),
    read: (argv, more) => run(argv, { ...environment(), ...more }, true),
  };
}

function buildEnvironment({ defaults, environment, tools }: Begin, app: string): Record<string, string> {
  return { ...defaults, HOME: tools, TMPDIR: '/tmp', USER: 'vcap', BUILD_DIR: app, ...environment };
}

/** Commands of each buildpack's launch.yml, of the last one's release, and of the Procfile, each over those before (CF: runner.go). */
async function release(app: string, chosen: Chosen[], stages: Stage[]): Promise<Launch> {
  const launches = await Promise.all(stages.map(({ deps }) => readLaunch(deps)));
  const released = (await chosen.at(-1)?.buildpack.release(stages.at(-1) as Stage)) ?? {};
  const ofProcfile = existsSync(join(app, 'Procfile'))
    ? await (await import('@cupola/buildpacks/procfile')).readProcfile(app)
    : {};
  const processTypes: Record<string, string> = Object.assign(
    {},
    ...launches.map(launch => launch.processTypes),
    released,
    ofProcfile,
  );
  if ((processTypes.web ?? '') === '') {
    process.stdout.write('No start command specified by buildpack or via Procfile.\n');
    process.stdout.write('App will not start unless a command is provided at runtime.\n');
  }
  return { processTypes, sidecars: launches.flatMap(({ sidecars }) => sidecars) };
}

/** As CF's droplets carry it. */
function stagingInfo(chosen: Chosen[], processTypes: Record<string, string>): string {
  return `${JSON.stringify({
    detected_buildpack: chosen.at(-1)?.buildpack.title.toLowerCase() ?? '',
    start_command: processTypes.web ?? '',
  })}\n`;
}
