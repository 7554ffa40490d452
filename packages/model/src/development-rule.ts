/**
 * What changed files mean to a development app: whether they can be put where the app runs, or whether a build reads them or makes something of them, so that
 * putting them there would show what a push would not. By what our buildpacks do (packages/buildpacks): whoever changes there what is read changes it here.
 * In doubt a build: it is slower, and never wrong. Of anybody else's buildpack nothing is known, so each change is a build.
 *
 * Where a build decides by files how the app is started, what it decided by is noted with each push (`developmentFacts`), and a change of that is a build too.
 */
import { PYTHON_MODULES, PYTHON_PACKAGE_MODULES, pythonApplication } from './python-app.ts';
import { type SystemBuildpack, systemBuildpack } from './system-buildpacks.ts';

/** What is pushed of a folder, as it is now. */
export interface DevelopmentFolder {
  readonly paths: ReadonlySet<string>;
  /** Null for what is not there, or no text. */
  textOf(path: string): string | null;
}

/** Paths of files, links and empty folders. */
export interface DevelopmentChanges {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

/** What a build decides by how the app is started, by path. */
export type DevelopmentFacts = ReadonlyMap<string, string>;

export interface DevelopmentBuild {
  /** Of the droplet, as its buildpacks were asked for. */
  readonly buildpacks: readonly string[];
  /** Noted when it was pushed. */
  readonly facts: DevelopmentFacts;
  /** The manifest or the user says how it is started. */
  readonly hasCommand: boolean;
  /** It is started by a command for developing, which reads the sources: what a build script makes of them is not what runs. */
  readonly runsSources: boolean;
}

export type DevelopmentJudgement =
  /** `path` asks for it. */
  | { readonly do: 'build'; readonly path: string }
  | {
      readonly do: 'sync';
      readonly restart: boolean;
      /** Folders of compiled files that would be taken instead of what has changed. */
      readonly stale: readonly string[];
      /** Where in the droplet's app a file of the folder lies. */
      place(path: string): string;
    };

/** Staging reads them, whichever buildpack: to choose one, to install by, or to start by. */
const BUILD_FILES = new Set(
  (
    'package.json package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml pnpm-workspace.yaml bun.lock bun.lockb .npmrc .yarnrc .yarnrc.yml .pnpmfile.cjs ' +
    '.nvmrc .node-version .tool-versions requirements.txt uv.lock uv.toml poetry.lock poetry.toml Pipfile Pipfile.lock pyproject.toml setup.py setup.cfg ' +
    '.python-version runtime.txt Gemfile Gemfile.lock gems.rb gems.locked .ruby-version composer.json composer.lock Procfile Staticfile Staticfile.auth .profile ' +
    '.cfignore manifest.yml manifest.yaml go.mod go.sum go.work pom.xml build.gradle build.gradle.kts settings.gradle settings.gradle.kts Cargo.toml Cargo.lock ' +
    'Makefile CMakeLists.txt Aptfile apt.yml buildpack.yml Rakefile'
  ).split(' '),
);
/** Folders at the root that staging reads, or that a start reads once. */
const BUILD_FOLDERS = new Set('.profile.d .bp-config .extensions .yarn .bundle .mvn vendor patches'.split(' '));
/** Sources that are compiled, and what compiling makes. */
const COMPILED =
  /\.(?:c|cc|cpp|cxx|h|hh|hpp|m|mm|rs|go|java|kt|kts|scala|groovy|gradle|cs|fs|vb|swift|zig|pyx|pxd|gyp|gypi|gemspec|node|so|whl|gem|jar|war|class)$/i;

/** Those whose droplet is, but for what `judge` knows, the folder as it was pushed. */
const JUDGES: Readonly<Partial<Record<SystemBuildpack, Judge>>> = {
  nodejs_buildpack: { buildsAt: nodeBuildsAt, facts: nodeFacts, restarts: () => true },
  python_buildpack: { buildsAt: pythonBuildsAt, facts: pythonFacts, restarts: () => true },
  ruby_buildpack: { buildsAt: rubyBuildsAt, facts: rubyFacts, restarts: () => true },
  php_buildpack: { buildsAt: phpBuildsAt, facts: phpFacts, restarts: path => !PHP_LEAVES.test(path) },
  staticfile_buildpack: { buildsAt: staticBuildsAt, facts: () => new Map(), restarts: () => false },
  binary_buildpack: { buildsAt: () => null, facts: () => new Map(), restarts: () => true },
};

interface Judge {
  /** Null: no change is a build, beyond those of every buildpack. */
  buildsAt(
    folder: DevelopmentFolder,
    build: DevelopmentBuild,
    changes: DevelopmentChanges,
  ): ((path: string) => boolean) | null;
  facts(folder: DevelopmentFolder): DevelopmentFacts;
  /** Whether what runs has to be started anew to show it. */
  restarts(path: string): boolean;
}

function judgesOf(buildpacks: readonly string[]): { names: SystemBuildpack[]; judges: Judge[] } | null {
  const names = buildpacks.flatMap(asked => systemBuildpack(asked) ?? []);
  const judges = names.flatMap(name => JUDGES[name] ?? []);
  const isKnown = judges.length === buildpacks.length && judges.length > 0;
  // What the one before has built, the staticfile buildpack moves.
  return isKnown && (judges.length === 1 || !names.includes('staticfile_buildpack')) ? { names, judges } : null;
}

/** What a build of `folder` decides by; to be noted with it. */
export function developmentFacts(buildpacks: readonly string[], folder: DevelopmentFolder): DevelopmentFacts {
  return new Map((judgesOf(buildpacks)?.judges ?? []).flatMap(judge => [...judge.facts(folder)]));
}

/** What to do about changes, of which there are some. `folder` is as it is with them. */
export function judgeChanges(
  build: DevelopmentBuild,
  folder: DevelopmentFolder,
  changes: DevelopmentChanges,
): DevelopmentJudgement {
  const paths = [...changes.added, ...changes.changed, ...changes.removed];
  const known = judgesOf(build.buildpacks);
  const [first = ''] = paths;
  if (known === null) return { do: 'build', path: first };
  const { names, judges } = known;
  const isBinary = names.every(name => name === 'binary_buildpack');
  const unread: string[] = [];
  const textOf = (path: string): string | null => {
    const text = folder.textOf(path);
    if (text === null && folder.paths.has(path)) unread.push(path);
    return text;
  };
  const rules = judges.flatMap(judge => judge.buildsAt({ ...folder, textOf }, build, changes) ?? []);
  const asks = (path: string): boolean =>
    BUILD_FILES.has(baseOf(path)) ||
    BUILD_FOLDERS.has(rootOf(path)) ||
    (!isBinary && COMPILED.test(path)) ||
    rules.some(rule => rule(path));
  const asking = paths.find(asks) ?? unread[0] ?? (build.hasCommand ? undefined : otherStart(build, folder));
  if (asking !== undefined) return { do: 'build', path: asking };
  return {
    do: 'sync',
    restart: paths.some(path => judges.some(judge => judge.restarts(path))),
    stale: names.includes('python_buildpack') ? compiledOf(paths) : [],
    place: names.includes('staticfile_buildpack') ? placeOfSite(folder) : path => path,
  };
}

function otherStart({ buildpacks, facts }: DevelopmentBuild, folder: DevelopmentFolder): string | undefined {
  const now = developmentFacts(buildpacks, folder);
  return [...new Set([...facts.keys(), ...now.keys()])].find(path => facts.get(path) !== now.get(path));
}

const baseOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
const rootOf = (path: string): string => (path.includes('/') ? path.slice(0, path.indexOf('/')) : '');
const folderOf = (path: string): string => (path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '');
const isBelow = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);

function factsOf(folder: DevelopmentFolder, files: readonly string[]): Map<string, string> {
  return new Map(files.filter(file => folder.paths.has(file)).map(file => [file, 'there']));
}

// Node.js

interface NodePackage {
  readonly main: string | null;
  readonly scripts: Readonly<Record<string, unknown>>;
}

function nodePackage(folder: DevelopmentFolder): NodePackage {
  try {
    const { main, scripts } = JSON.parse((folder.textOf('package.json') ?? '{}').replace(/^\ufeff/, '')) as Record<
      string,
      unknown
    >;
    return {
      main: typeof main === 'string' ? main.replace(/^(?:\.\/)+/, '').replace(/\/+$/, '') : null,
      scripts: typeof scripts === 'object' && scripts !== null ? (scripts as Record<string, unknown>) : {},
    };
  } catch {
    return { main: null, scripts: {} }; // That it was changed into no JSON is a build already.
  }
}

/** Run by a build, over the sources. */
const NODE_SCRIPTS = ['heroku-prebuild', 'heroku-postbuild', 'prebuild', 'build', 'postbuild'] as const;
const NODE_INSTALL_SCRIPTS = ['preinstall', 'install', 'postinstall', 'prepare'] as const;
/** What people have there that makes nothing of the sources: hooks of git, patches of packages. */
const NOTHING_BUILT =
  /^(?:husky(?: install)?|lefthook install|simple-git-hooks|patch-package|exit 0|true)(?: *\|\| *(?:true|exit 0))?$/;

function nodeBuildsAt(
  folder: DevelopmentFolder,
  { runsSources }: DevelopmentBuild,
): ((path: string) => boolean) | null {
  const { scripts } = nodePackage(folder);
  const isBuilt =
    NODE_SCRIPTS.some(name => scripts[name] !== undefined) ||
    NODE_INSTALL_SCRIPTS.some(name => scripts[name] !== undefined && !NOTHING_BUILT.test(String(scripts[name]).trim()));
  return isBuilt && !runsSources ? () => true : path => path.split('/').includes('node_modules');
}

function nodeFacts(folder: DevelopmentFolder): DevelopmentFacts {
  const { main, scripts } = nodePackage(folder);
  if (scripts.start !== undefined) return new Map();
  const facts = factsOf(folder, ['server.js', 'index.js']);
  if (main !== null && [...folder.paths].some(path => isBelow(path, main))) facts.set(main, 'there');
  return facts;
}

// Python

const PYTHON_LISTS = /(?:require|constraint).*\.(?:txt|in)$/;
const PYTHON_LISTS_MAX = 50;

function pythonBuildsAt(folder: DevelopmentFolder): (path: string) => boolean {
  if (installsFolder(folder)) return () => true;
  const lists = listsOf(folder);
  const collects = collectsStatic(folder);
  return path =>
    lists.has(path) ||
    PYTHON_LISTS.test(baseOf(path)) ||
    path.split('/').includes('requirements') ||
    (collects && !(/\.(?:py|html|jinja|jinja2|j2)$/.test(path) && !isSettings(path)));
}

/** Whether the app, or a folder of it, is installed as a package: what runs is a copy then. Which file counts: python/dependencies.ts. */
function installsFolder({ paths, textOf }: DevelopmentFolder): boolean {
  const project = textOf('pyproject.toml') ?? '';
  const isPackage = /^\s*\[build-system\]/m.test(project);
  const namesFolder = /\bpath\s*=|\bfile:|workspace\s*=\s*true|package\s*=\s*true|editable\s*=/.test(project);
  if (paths.has('requirements.txt')) {
    const texts = [...listsOf({ textOf })].map(list => textOf(list) ?? '');
    return texts.some(text => /^\s*(?:-e\b|--editable|\.|\/|file:)|^[^#\n]*@\s*(?:file:|\.)/m.test(text));
  }
  if (paths.has('uv.lock')) return isPackage || namesFolder;
  if (paths.has('poetry.lock')) return namesFolder;
  if (paths.has('Pipfile.lock') || paths.has('Pipfile'))
    return /\bpath\b|\beditable\b/.test(`${textOf('Pipfile') ?? ''}${textOf('Pipfile.lock') ?? ''}`);
  return paths.has('setup.py') || isPackage || namesFolder;
}

/** `requirements.txt`, and what it names by `-r` and `-c`. */
function listsOf({ textOf }: Pick<DevelopmentFolder, 'textOf'>): ReadonlySet<string> {
  const lists = new Set(['requirements.txt']);
  for (const list of lists) {
    if (lists.size > PYTHON_LISTS_MAX) break;
    for (const [, named = ''] of (textOf(list) ?? '').matchAll(/^\s*(?:-r|-c|--requirement|--constraint)[\s=]*(\S+)/gm))
      lists.add(joined(folderOf(list), named));
  }
  return lists;
}

function joined(folder: string, path: string): string {
  const parts: string[] = folder === '' ? [] : folder.split('/');
  for (const part of path.split('/'))
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  return parts.join('/');
}

const isSettings = (path: string): boolean => /(?:^|\/)settings(?:\/.+)?\.py$/.test(path);

/** Django's, where its settings say where to. */
function collectsStatic({ paths, textOf }: DevelopmentFolder): boolean {
  const hasDjango = [...paths].some(path => /^(?:[^/]+\/)?manage\.py$/.test(path));
  return (
    hasDjango &&
    [...paths].some(path => isSettings(path) && /^\s*STATIC_ROOT\s*=/m.test(textOf(path) ?? 'STATIC_ROOT ='))
  );
}

const PYTHON_AT_ROOT = new Set(PYTHON_MODULES.map(name => `${name}.py`));
const PYTHON_IN_PACKAGE = new RegExp(`^(?:src/)?[A-Za-z_]\\w*/(?:${PYTHON_PACKAGE_MODULES.join('|')})\\.py$`);

function pythonFacts({ paths, textOf }: DevelopmentFolder): DevelopmentFacts {
  const facts = new Map<string, string>();
  for (const path of paths) {
    if (/^(?:[^/]+\/){0,2}(?:manage|wsgi)\.py$/.test(path)) facts.set(path, 'there');
    if (!PYTHON_AT_ROOT.has(path) && !PYTHON_IN_PACKAGE.test(path)) continue;
    const found = pythonApplication(textOf(path) ?? '');
    facts.set(path, found === null ? 'there' : `${found.name} ${found.kind}`);
  }
  return facts;
}

/** A build leaves compiled files that Python takes unasked, whatever became of the source (python/install.ts). */
function compiledOf(paths: readonly string[]): string[] {
  const sources = paths.filter(path => path.endsWith('.py')).map(folderOf);
  return [...new Set(sources)].map(folder => (folder === '' ? '__pycache__' : `${folder}/__pycache__`)).toSorted();
}

// Ruby

const RUBY_FILES = ['bin/rails', 'config.ru', 'config/puma.rb', 'app.rb', 'server.rb', 'main.rb', 'web.rb'];
const RUBY_PIPELINES = ['sprockets-rails', 'sprockets', 'propshaft', 'webpacker', 'vite_rails'];
/** They look through views and code for what to put into style sheets and scripts. */
const RUBY_BUNDLERS =
  /^(?:tailwindcss-(?:rails|ruby)|cssbundling-rails|jsbundling-rails|dartsass-rails|vite_rails|webpacker|shakapacker)$/;
const RUBY_ASSETS =
  /^(?:app\/(?:assets|javascript|frontend|components)\/|lib\/(?:assets|tasks)\/|public\/assets\/|config\/(?!routes(?:\.rb$|\/)|locales\/))/;

function rubyBuildsAt(folder: DevelopmentFolder): ((path: string) => boolean) | null {
  const lock = folder.textOf('Gemfile.lock');
  if (!folder.paths.has('bin/rails')) return null;
  // Which gems there are is found out by the build.
  if (lock === null) return () => true;
  const gems = [...lock.matchAll(/^ {4}([\w.-]+) \(/gm)].map(([, name = '']) => name);
  if (!gems.includes('railties') || !gems.some(name => RUBY_PIPELINES.includes(name))) return null;
  return gems.some(name => RUBY_BUNDLERS.test(name)) ? () => true : path => RUBY_ASSETS.test(path);
}

function rubyFacts(folder: DevelopmentFolder): DevelopmentFacts {
  return factsOf(folder, RUBY_FILES);
}

// PHP

/** No PHP: what PHP has compiled it keeps for two seconds without a look at the file (opcache.revalidate_freq). */
const PHP_LEAVES = /\.(?:css|js|mjs|map|svg|png|jpe?g|gif|webp|avif|ico|woff2?|ttf|otf|mp4|webm|pdf)$/i;
const PHP_FOLDERS = ['htdocs', 'public', 'web', 'public_html'];
/** Run by composer with an installation; that of Laravel looks at packages only. */
const PHP_SCRIPTS = ['pre-install-cmd', 'post-install-cmd', 'pre-autoload-dump', 'post-autoload-dump'];
const PHP_NOTHING_BUILT = /ComposerScripts|^@php artisan package:discover/;

function phpBuildsAt(
  folder: DevelopmentFolder,
  _: DevelopmentBuild,
  { changed }: DevelopmentChanges,
): ((path: string) => boolean) | null {
  const text = folder.textOf('composer.json');
  if (text === null) return null;
  let composer: { autoload?: Record<string, unknown>; scripts?: Record<string, unknown> };
  try {
    composer = JSON.parse(text) ?? {};
  } catch {
    return () => true;
  }
  const scripts = PHP_SCRIPTS.flatMap(name => composer.scripts?.[name] ?? []).map(String);
  if (scripts.some(script => !PHP_NOTHING_BUILT.test(script))) return () => true;
  if (composer.autoload === undefined) return null;
  // Composer has listed classes: a new one may be in no list, and one that went is in it still.
  const stays = new Set(composer.autoload.classmap === undefined ? changed : []);
  return path => /\.(?:php|inc)$/i.test(path) && !stays.has(path);
}

function phpFacts({ paths }: DevelopmentFolder): DevelopmentFacts {
  const roots = new Set([...paths].map(path => rootOf(path) || path));
  return new Map(PHP_FOLDERS.filter(name => roots.has(name)).map(name => [name, 'there']));
}

// Static files

/** Not part of the site: staticfile/staticfile.ts. */
const NOT_SERVED = new Set(
  'Staticfile Staticfile.auth manifest.yml manifest.yaml Procfile nginx stackato.yml'.split(' '),
);

interface Site {
  /** Empty: the folder itself. */
  readonly root: string;
  readonly hostsDotFiles: boolean;
}

/** As far as a line says it plainly; null when not. */
function siteOf(folder: DevelopmentFolder): Site | null {
  const text = folder.textOf('Staticfile') ?? '';
  const lines = text.split(/\r?\n/).filter(line => /^\s*["']?(?:root|host_dot_files)\b/.test(line));
  const plain = lines.map(line => /^(root|host_dot_files): *(?:"([\w./-]*)"|'([\w./-]*)'|([\w./-]*)) *$/.exec(line));
  if (plain.includes(null) || /^\s*[{[&*%-]/m.test(text)) return null;
  const said = new Map(plain.map(found => [found?.[1], found?.[2] ?? found?.[3] ?? found?.[4] ?? '']));
  return {
    root: joined('', said.get('root') ?? ''),
    hostsDotFiles: ['enabled', 'true'].includes(said.get('host_dot_files') ?? ''),
  };
}

function staticBuildsAt(folder: DevelopmentFolder): ((path: string) => boolean) | null {
  const site = siteOf(folder);
  if (site === null) return () => true;
  const { root } = site;
  if (root === '') return null;
  // Without it a build fails; and a folder `public` beside it has made way for it.
  if (![...folder.paths].some(path => isBelow(path, root))) return () => true;
  return path => isBelow(path, 'public') && !isBelow(path, root);
}

/** The build has moved what is served into `public`. */
function placeOfSite(folder: DevelopmentFolder): (path: string) => string {
  const { root, hostsDotFiles } = siteOf(folder) ?? { root: '', hostsDotFiles: false };
  return path => {
    if (root !== '' && !path.startsWith(`${root}/`)) return path;
    const below = root === '' ? path : path.slice(root.length + 1);
    const [name = ''] = below.split('/');
    const isOurs = ['.profile', '.profile.d', '.cloudfoundry'].includes(name);
    const stays = NOT_SERVED.has(name) || (name.startsWith('.') && (isOurs || !hostsDotFiles));
    return stays ? path : `public/${below}`;
  };
}
