/** nodejs_buildpack: an app with a package.json. Node.js and its package manager come as toolchains; the app's layer holds its own files only. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { BUILDPACK_VERSION, type Buildpack, type Stage, type Toolchain } from '../buildpack.ts';
import { installAndBuild } from './install.ts';
import { askedNode } from './node-range.ts';
import { type PackageJson, readPackageJson } from './package-json.ts';
import { choosePackageManager, type PackageManager } from './package-manager.ts';
import { writeNodeProfile } from './profile.ts';
import { missingStartProgram, startCommand, writeNpmStart } from './start-command.ts';

export const nodejsBuildpack: Buildpack = {
  name: 'nodejs_buildpack',
  title: 'Nodejs',
  detect: async app => (existsSync(join(app, 'package.json')) ? `node.js ${BUILDPACK_VERSION}` : null),
  compile,
  release: async ({ app }) => {
    const web = startCommand(app, await readPackageJson(app));
    return web === null ? {} : { web };
  },
};

async function compile(stage: Stage): Promise<void> {
  const json = await readPackageJson(stage.app);
  if (!json.found) stage.say('       **WARNING** No package.json found');
  const manager = await choosePackageManager(stage.app, json);
  const node = await chooseNode(stage, json);
  const managers = await chooseManagers(stage, json, manager, node);
  const environment = buildEnvironment(stage, manager, [...managers, node]);
  await installAndBuild(stage, { json, manager, nodeVersion: node.version, environment });
  const missing = missingStartProgram(stage.app, json, environment.PATH ?? '');
  if (missing !== null)
    stage.say(
      `       **WARNING** "npm start" runs ${missing}, which is not there: what only development dependencies bring goes after the build. Name in a Procfile what the build makes (web: node dist/main.js), or put the package of ${missing} into "dependencies".`,
    );
  const npm = managers.find(({ name }) => name === 'npm');
  if (npm !== undefined) await writeNpmStart(stage, json, { npm, node });
  await writeNodeProfile(stage, node, managers);
  for (const { path } of [...managers, node]) stage.offerPrograms(join(path, 'bin'));
}

async function chooseNode(stage: Stage, json: PackageJson): Promise<Toolchain> {
  stage.say('-----> Installing binaries');
  const { range, from } = await askedNode(stage.app, json);
  if (range === null)
    stage.say('       **WARNING** Node version not specified in package.json or .nvmrc: the platform chooses');
  const node = await stage.toolchain({ name: 'node', range, nodeVersion: null });
  stage.say(`       Node.js ${node.version}${range === null ? '' : ` (${range} by ${from})`}`);
  return node;
}

/** npm is there for every app, since `npm start` is; yarn or pnpm where the app uses them. */
async function chooseManagers(
  stage: Stage,
  json: PackageJson,
  manager: PackageManager,
  node: Toolchain,
): Promise<Toolchain[]> {
  const range = manager.name === 'npm' ? manager.range : (json.engines.npm ?? null);
  const chosen = [await stage.toolchain({ name: 'npm', range, nodeVersion: node.version })];
  if (manager.name !== 'npm' && manager.needsToolchain)
    chosen.unshift(await stage.toolchain({ name: manager.name, range: manager.range, nodeVersion: node.version }));
  for (const { name, version } of chosen) stage.say(`       ${name} ${version}`);
  return chosen;
}

/** The app's own variables win over what is set here. */
function buildEnvironment(stage: Stage, manager: PackageManager, toolchains: Toolchain[]): Record<string, string> {
  const given = new Set(Object.keys(stage.environment).map(name => name.toLowerCase()));
  const defaults = {
    NODE_ENV: 'production',
    WEB_MEMORY: '512',
    WEB_CONCURRENCY: '1',
    ...manager.environment(stage.cache),
  };
  const path = [
    ...toolchains.map(toolchain => join(toolchain.path, 'bin')),
    join(stage.app, 'node_modules/.bin'),
    stage.environment.PATH ?? '/usr/bin:/bin',
  ];
  return {
    ...Object.fromEntries(Object.entries(defaults).filter(([name]) => !given.has(name.toLowerCase()))),
    ...stage.environment,
    PATH: path.join(':'),
  };
}
