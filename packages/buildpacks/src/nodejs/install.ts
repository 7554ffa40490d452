/** Installs what an app depends on and runs its build script, as Heroku's and CF's users expect it. */
import { existsSync } from 'node:fs';
import { cp, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CommandFailedError, type Stage } from '../buildpack.ts';
import { explaining } from '../explain.ts';
import { headersFor, wantsHeaders } from './headers.ts';
import { NODE_HINTS } from './hints.ts';
import type { PackageJson } from './package-json.ts';
import type { PackageManager } from './package-manager.ts';
import { lookAtVendored, type Vendored } from './vendored.ts';

/** Folders that build tools keep for the next build, and that no instance needs. */
const BUILD_CACHES = ['node_modules/.cache', '.next/cache'] as const;
/** Files of package managers that hold a time, and that nothing reads where the app runs: the same app must give the same layer. */
const TIMED_FILES = [
  'node_modules/.modules.yaml',
  'node_modules/.pnpm-workspace-state.json',
  'node_modules/.pnpm-workspace-state-v1.json',
];

export interface Project {
  json: PackageJson;
  manager: PackageManager;
  nodeVersion: string;
  /** PATH with the toolchains, and the settings of the package manager. */
  environment: Record<string, string>;
}

/** What is to be done, in order. Decided before anything runs. */
export interface InstallPlan {
  prebuild: string | null;
  install: 'none' | 'without-dev' | 'with-dev';
  rebuild: boolean;
  build: string | null;
  prune: boolean;
}

/**
 * Development dependencies are installed only when a script of the build or of the install may need them, and go again afterwards; `NODE_ENV` other than
 * production, or `NPM_CONFIG_PRODUCTION=false`, keeps them (CF and Heroku). A pushed node_modules is taken as it is, as far as it goes; then only `heroku-postbuild` is run,
 * as CF does: `build` may want what was left at home.
 */
export function planInstall(
  { scripts, dependencies, devDependencies, optionalDependencies, hasWorkspaces }: PackageJson,
  environment: Readonly<Record<string, string>>,
  vendored: Vendored | null,
): InstallPlan {
  const isFalse = (name: string): boolean => environment[name]?.toLowerCase() === 'false';
  const production =
    (environment.NODE_ENV ?? 'production') === 'production' &&
    !isFalse('NPM_CONFIG_PRODUCTION') &&
    !isFalse('YARN_PRODUCTION');
  const script = (...names: string[]): string | null => names.find(name => scripts[name] !== undefined) ?? null;
  const build = vendored === null ? script('heroku-postbuild', 'build') : script('heroku-postbuild');
  const hasDev = devDependencies.length > 0;
  // Run by the install itself: "postinstall": "tsc --build" wants what only development dependencies bring.
  const whileInstalling = script('preinstall', 'install', 'postinstall', 'prepare');
  const withDev = hasDev && (!production || build !== null || whileInstalling !== null);
  const hasWork =
    dependencies.length > 0 || optionalDependencies.length > 0 || hasWorkspaces || withDev || whileInstalling !== null;
  const wanted = vendored === null ? hasWork : vendored.missing.length > 0;
  return {
    prebuild: script('heroku-prebuild'),
    install: !wanted ? 'none' : withDev ? 'with-dev' : 'without-dev',
    rebuild: vendored?.needsRebuild ?? false,
    build,
    prune: production && withDev && wanted,
  };
}

/** @throws StagingFailedError when a command fails. */
export async function installAndBuild(stage: Stage, project: Project): Promise<void> {
  const { json, manager } = project;
  const vendored = lookAtVendored(stage.app, json);
  const plan = planInstall(json, project.environment, vendored);
  const run = (args: readonly string[]): Promise<void> =>
    explaining(stage.app, NODE_HINTS, () => stage.run([...manager.program, ...args], project.environment));
  const runScript = async (script: string | null): Promise<void> => {
    if (script === null) return;
    stage.say(`       Running ${script} (${manager.name})`);
    await run(manager.runScript(script));
  };

  if (Object.values(plan).every(step => step === false || step === null || step === 'none')) {
    stage.say('       No dependencies to install');
    return;
  }
  stage.say('-----> Installing dependencies');
  for (const file of manager.ignoredLockfiles)
    stage.say(`       **WARNING** ${file} is not used: this app is installed by ${manager.name}`);
  if (vendored !== null) stage.say('       Prebuild detected (node_modules already exists)');
  await restoreCaches(stage, plan);
  await runScript(plan.prebuild);
  if (plan.install !== 'none') {
    stage.say(
      `       Installing node modules (package.json${manager.lockfile === null ? '' : ` + ${manager.lockfile}`})`,
    );
    await explaining(stage.app, NODE_HINTS, () => install(stage, project, { dev: plan.install === 'with-dev' }));
  }
  if (plan.rebuild) {
    stage.say('       Rebuilding any native modules');
    await explaining(stage.app, NODE_HINTS, () => stage.run(['npm', 'rebuild'], project.environment));
  }
  if (plan.build !== null) stage.say('-----> Building');
  await runScript(plan.build);
  if (plan.prune && manager.prune !== null) {
    stage.say('       Removing development dependencies');
    await run(manager.prune);
  }
  await keepCaches(stage, plan);
  for (const file of TIMED_FILES) await rm(join(stage.app, file), { force: true });
}

/** Once more, with headers, where a native module found none; or asking the registry anew, where what is cached knows no version of the lockfile. */
async function install(stage: Stage, project: Project, what: { dev: boolean }): Promise<void> {
  const { manager, nodeVersion, environment } = project;
  const argv = [...manager.program, ...manager.install(what)];
  // Package managers keep their compiled code where it outlives the build: else each compiles itself anew.
  const run = (args: readonly string[]): Promise<void> =>
    stage.run(args, { NODE_COMPILE_CACHE: join(stage.cache, 'compile'), ...environment });
  try {
    await run(argv);
  } catch (error) {
    if (isStale(error) && argv.includes(OFFLINE)) return await run(argv.filter(arg => arg !== OFFLINE));
    if (!wantsHeaders(error) || environment.npm_config_nodedir !== undefined) throw error;
    const headers = await headersFor(stage, { version: nodeVersion, environment });
    if (headers === null) throw error;
    Object.assign(environment, headers);
    await run(argv);
  }
}

const OFFLINE = '--prefer-offline';

function isStale(error: unknown): boolean {
  return error instanceof CommandFailedError && /\bETARGET\b/.test(error.output);
}

async function restoreCaches(stage: Stage, { build }: InstallPlan): Promise<void> {
  if (build === null) return;
  for (const folder of BUILD_CACHES) {
    const kept = join(stage.cache, 'build', folder);
    if (existsSync(kept) && !existsSync(join(stage.app, folder)))
      await cp(kept, join(stage.app, folder), { recursive: true });
  }
}

async function keepCaches(stage: Stage, { build }: InstallPlan): Promise<void> {
  for (const folder of BUILD_CACHES) {
    const left = join(stage.app, folder);
    if (!existsSync(left)) continue;
    const kept = join(stage.cache, 'build', folder);
    await rm(kept, { recursive: true, force: true });
    if (build !== null) {
      await mkdir(kept, { recursive: true });
      await cp(left, kept, { recursive: true });
    }
    await rm(left, { recursive: true, force: true });
  }
}
