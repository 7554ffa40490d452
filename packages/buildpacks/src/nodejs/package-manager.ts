/** Which package manager an app uses, and how that one installs, runs a script and drops what only the build needed. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isAtLeast, isRange, narrowed } from './is-range.ts';
import type { PackageJson } from './package-json.ts';

export interface PackageManager {
  name: 'npm' | 'pnpm' | 'yarn';
  /** Of the manager itself; null: any. */
  range: string | null;
  /** Its lockfile, when the app has one. */
  lockfile: string | null;
  /** Several managers' lockfiles were pushed: those not used. */
  ignoredLockfiles: string[];
  /** Program and arguments before its own: a yarn that the app carries along is run as it is. */
  program: string[];
  /** False when the app carries its own. */
  needsToolchain: boolean;
  install(what: { dev: boolean }): string[];
  runScript(script: string): string[];
  /** Removes what only the build needed; null where this manager cannot. */
  prune: string[] | null;
  /** For its commands. */
  environment(cache: string): Record<string, string>;
}

const LOCKFILES = {
  pnpm: ['pnpm-lock.yaml'],
  yarn: ['yarn.lock'],
  npm: ['npm-shrinkwrap.json', 'package-lock.json'],
} as const;

/** `packageManager` of package.json decides, else the lockfile that is there (pnpm, yarn, npm in this order), else npm. */
export async function choosePackageManager(app: string, json: PackageJson): Promise<PackageManager> {
  const present = (['pnpm', 'yarn', 'npm'] as const).filter(name =>
    LOCKFILES[name].some(file => existsSync(join(app, file))),
  );
  const said = json.packageManager?.name;
  const name = said === 'pnpm' || said === 'yarn' || said === 'npm' ? said : (present[0] ?? 'npm');
  const range = (name === said ? json.packageManager?.version : undefined) ?? json.engines[name] ?? null;
  const common = {
    range: range !== null && (await isRange(range)) ? range : null,
    lockfile: LOCKFILES[name].find(file => existsSync(join(app, file))) ?? null,
    ignoredLockfiles: present
      .filter(other => other !== name)
      .flatMap(other => LOCKFILES[other].filter(file => existsSync(join(app, file)))),
  };
  if (name === 'pnpm') return await pnpm(common, await textOf(app, 'pnpm-lock.yaml'));
  if (name === 'npm') return npm(common);
  const lock = await textOf(app, 'yarn.lock');
  const settings = await textOf(app, '.yarnrc.yml');
  const isBerry = /^__metadata:/m.test(lock) || settings !== '' || (await isAtLeast(common.range ?? '0.0.0', '2.0.0'));
  return isBerry ? berry(common, { app, lock, settings }) : classicYarn(common);
}

const textOf = async (app: string, file: string): Promise<string> => readFile(join(app, file), 'utf8').catch(() => '');

type Common = Pick<PackageManager, 'range' | 'lockfile' | 'ignoredLockfiles'>;

function npm(common: Common): PackageManager {
  return {
    ...common,
    name: 'npm',
    program: ['npm'],
    needsToolchain: true,
    install: ({ dev }) => [
      ...(common.lockfile === null ? ['install', '--no-package-lock'] : ['ci']),
      dev ? '--include=dev' : '--omit=dev',
      // The lockfile says which and by which checksum: asking the registry whether they are still so is a third of the time.
      ...(common.lockfile === null ? [] : ['--prefer-offline']),
    ],
    runScript: script => ['run', script],
    prune: ['prune', '--omit=dev', ...(common.lockfile === null ? ['--no-package-lock'] : [])],
    environment: cache => ({
      npm_config_cache: join(cache, 'npm'),
      npm_config_audit: 'false',
      npm_config_fund: 'false',
      npm_config_update_notifier: 'false',
      npm_config_progress: 'false',
    }),
  };
}

/** From 12 on the package `pnpm` has no program in it: it fetches one when it is first run, which in a build is each time, if it is let at all. */
const PNPM_WITH_PROGRAM = '<12.0.0';

async function pnpm(common: Common, lock: string): Promise<PackageManager> {
  // Lockfiles of another major are not read, or rewritten: each has its pnpm.
  const format = /^lockfileVersion:\s*['"]?(\d+)/m.exec(lock)?.[1];
  const byLockfile = format === '5' ? '7.x' : format === '6' ? '8.x' : '9.x';
  return {
    ...common,
    range: common.range === null ? byLockfile : await narrowed(common.range, [byLockfile, PNPM_WITH_PROGRAM]),
    name: 'pnpm',
    program: ['pnpm'],
    needsToolchain: true,
    install: ({ dev }) => [
      'install',
      common.lockfile === null ? '--no-frozen-lockfile' : '--frozen-lockfile',
      dev ? '--prod=false' : '--prod',
    ],
    runScript: script => ['run', script],
    prune: ['prune', '--prod', '--ignore-scripts'],
    environment: cache => ({
      npm_config_store_dir: join(cache, 'pnpm'),
      npm_config_update_notifier: 'false',
      // Else another version, named by package.json, would be fetched by pnpm itself.
      npm_config_manage_package_manager_versions: 'false',
      // Else prune asks a question.
      CI: 'true',
    }),
  };
}

function classicYarn(common: Common): PackageManager {
  const install = ['install', '--non-interactive', '--ignore-engines'];
  const frozen = common.lockfile === null ? ['--no-lockfile'] : ['--frozen-lockfile'];
  return {
    ...common,
    range: common.range ?? '1.x',
    name: 'yarn',
    program: ['yarn'],
    needsToolchain: true,
    install: ({ dev }) => [...install, ...frozen, `--production=${dev ? 'false' : 'true'}`],
    runScript: script => ['run', script],
    prune: [...install, ...frozen, '--production=true', '--ignore-scripts', '--prefer-offline'],
    environment: cache => ({ YARN_CACHE_FOLDER: join(cache, 'yarn') }),
  };
}

/** Yarn from 2 on. Its caches stay in the app with Plug'n'Play, since what runs is read from there. */
async function berry(
  common: Common,
  { app, lock, settings }: { app: string; lock: string; settings: string },
): Promise<PackageManager> {
  const carried = /^yarnPath:\s*['"]?([^'"\n]+)/m.exec(settings)?.[1]?.trim();
  const hasCarried = carried !== undefined && existsSync(join(app, carried));
  const linksModules = /^nodeLinker:\s*['"]?(node-modules|pnpm)/m.test(settings);
  const format = Number(/^__metadata:\s*\n\s+version:\s*(\d+)/m.exec(lock)?.[1] ?? '8');
  const range = common.range ?? (format >= 7 ? '4.x' : '3.x');
  const isFour = hasCarried ? /yarn-(4|5)/.test(carried) : await isAtLeast(range, '4.0.0');
  return {
    ...common,
    range,
    name: 'yarn',
    program: hasCarried ? ['node', carried] : ['yarn'],
    needsToolchain: !hasCarried,
    install: () => ['install', common.lockfile === null ? '--no-immutable' : '--immutable'],
    runScript: script => ['run', script],
    prune: linksModules && isFour ? ['workspaces', 'focus', '--all', '--production'] : null,
    environment: cache => ({
      YARN_ENABLE_TELEMETRY: '0',
      YARN_ENABLE_GLOBAL_CACHE: linksModules ? 'true' : 'false',
      YARN_GLOBAL_FOLDER: join(cache, 'yarn'),
    }),
  };
}
