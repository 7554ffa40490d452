/** staticfile_buildpack: a folder of files, served by a small server of ours under the platform's own Node.js. */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';
import { join, relative } from 'node:path';
import { BUILDPACK_VERSION, type Buildpack, type Stage } from '../buildpack.ts';
import { readStaticfile, type Staticfile } from './read-staticfile.ts';
import type { SiteOptions } from './server/site.ts';

/** Not part of the site (CF: skipCopyFile of finalize.go, and what cf itself leaves beside it). */
const NOT_SERVED = [
  'Staticfile',
  'Staticfile.auth',
  'manifest.yml',
  'manifest.yaml',
  'Procfile',
  'nginx',
  'stackato.yml',
];
/** Shipped with the app, types removed, so that no start pays for that. */
const SERVER_FILES = ['main', 'site', 'content-types', 'passwords'] as const;
/** The server is written for the Node.js that runs the platform. */
const NODE_RANGE = '>=24';

export const staticfileBuildpack: Buildpack = {
  name: 'staticfile_buildpack',
  title: 'Staticfile',
  detect: async app => (existsSync(join(app, 'Staticfile')) ? `staticfile ${BUILDPACK_VERSION}` : null),
  compile,
  // Relative, since commands run in the app's folder.
  release: async ({ app, deps }) => ({ web: `node ${relative(app, join(deps, 'static/main.mjs'))}` }),
};

async function compile(stage: Stage): Promise<void> {
  const staticfile = await readStaticfile(stage.app);
  stage.say(`-----> Root folder ${join(stage.app, staticfile.root)}`);
  sayEnabled(stage, staticfile);
  const auth = await readFile(join(stage.app, 'Staticfile.auth'), 'utf8').catch(() => null);
  if (auth !== null) stage.say('-----> Enabling basic authentication using Staticfile.auth');
  stage.say('-----> Copying project files into public');
  await moveToPublic(stage.app, staticfile);
  await writeServer(stage, { ...staticfile.settings, passwords: auth });
  const node = await stage.toolchain({ name: 'node', range: NODE_RANGE, nodeVersion: null });
  // A name of its own, sourced after an app's own Node.js when both buildpacks have staged it: the last PATH wins.
  await writeFile(join(stage.profileD, 'staticfile.sh'), `export PATH="${join(node.path, 'bin')}:$PATH"\n`);
}

function sayEnabled(stage: Stage, { settings, ignored }: Staticfile): void {
  const enabled: Array<[boolean, string]> = [
    [settings.hostDotFiles, 'hosting of dotfiles'],
    [settings.directoryIndex, 'directory index for folders without index.html files'],
    [settings.pushState, 'pushstate'],
    [settings.strictTransport !== null, 'HSTS'],
    [settings.forceHttps, 'HTTPS redirect'],
    [Object.keys(settings.statusPages).length > 0, 'custom pages for status_codes'],
  ];
  for (const [isOn, what] of enabled) if (isOn) stage.say(`-----> Enabling ${what}`);
  for (const name of ignored)
    stage.say(`       **WARNING** Staticfile: "${name}" is not known here and changes nothing`);
}

/** The site's files alone, apart from what configures it: nothing else can be asked for. */
async function moveToPublic(app: string, { root, settings }: Staticfile): Promise<void> {
  const source = join(app, root);
  const target = join(app, 'public');
  if (source === target) return;
  const work = join(app, '.cupola-public');
  await mkdir(work);
  for (const name of await readdir(source)) {
    if (NOT_SERVED.includes(name) || name === '.cupola-public') continue;
    const isOurs = name === '.profile' || name === '.profile.d' || name === '.cloudfoundry';
    if (name.startsWith('.') && (isOurs || !settings.hostDotFiles)) continue;
    await rename(join(source, name), join(work, name));
  }
  await rm(target, { recursive: true, force: true });
  await rename(work, target);
}

async function writeServer(stage: Stage, settings: Omit<SiteOptions, 'root'>): Promise<void> {
  const folder = join(stage.deps, 'static');
  const options: SiteOptions = { ...settings, root: relative(folder, join(stage.app, 'public')) };
  await mkdir(folder, { recursive: true });
  for (const name of SERVER_FILES) {
    const source = await readFile(join(import.meta.dirname, 'server', `${name}.ts`), 'utf8');
    await writeFile(join(folder, `${name}.mjs`), asJavaScript(source));
  }
  await writeFile(join(folder, 'site.json'), `${JSON.stringify(options, null, 2)}\n`, { mode: 0o600 });
}

/** Types blanked out, line for line, and imports of each other named as they are written here. */
function asJavaScript(source: string): string {
  return stripTypeScriptTypes(source).replace(/(from '\.\/[\w-]+)\.ts'/g, "$1.mjs'");
}
