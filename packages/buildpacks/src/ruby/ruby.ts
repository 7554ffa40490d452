/** ruby_buildpack: an app with a Gemfile. Ruby is the stack's; gems are taken from vendor/cache, or fetched by bundler into the app's layer. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StagingFailedError } from '@cupola/model/errors';
import { BUILDPACK_VERSION, type Buildpack, type Stage } from '../buildpack.ts';
import { explaining } from '../explain.ts';
import { answerOf, findProgram } from '../found-programs.ts';
import { RUBY_HINTS } from './hints.ts';
import { gemsOfLock, rubyProcesses } from './processes.ts';

export const rubyBuildpack: Buildpack = {
  name: 'ruby_buildpack',
  title: 'Ruby',
  detect: async app => (existsSync(join(app, 'Gemfile')) ? `ruby ${BUILDPACK_VERSION}` : null),
  compile,
  release: async ({ app }) => rubyProcesses(app, await readGems(app)),
};

async function readGems(app: string): Promise<ReadonlySet<string>> {
  const lock = await readFile(join(app, 'Gemfile.lock'), 'utf8').catch(() => '');
  return gemsOfLock(lock);
}

/** Where gems are installed, and how apps run: of the build and of every start. */
const settings = (stage: Stage): Record<string, string> => ({
  BUNDLE_PATH: join(stage.deps, 'gems'),
  BUNDLE_WITHOUT: stage.environment.BUNDLE_WITHOUT ?? 'development:test',
  BUNDLE_GEMFILE: join(stage.app, 'Gemfile'),
  RAILS_ENV: stage.environment.RAILS_ENV ?? 'production',
  RACK_ENV: stage.environment.RACK_ENV ?? 'production',
});

async function compile(stage: Stage): Promise<void> {
  await chooseRuby(stage);
  const environment = {
    ...settings(stage),
    // Settings of whoever develops it stay where they develop.
    BUNDLE_APP_CONFIG: join(stage.cache, 'bundle'),
    BUNDLE_USER_HOME: join(stage.cache, 'bundle-home'),
    BUNDLE_FROZEN: existsSync(join(stage.app, 'Gemfile.lock')) ? 'true' : 'false',
    BUNDLE_JOBS: '2',
    BUNDLE_RETRY: '2',
    BUNDLE_DISABLE_VERSION_CHECK: 'true',
  };
  stage.say('-----> Installing gems');
  await mkdir(environment.BUNDLE_APP_CONFIG, { recursive: true });
  const isVendored = existsSync(join(stage.app, 'vendor/cache'));
  if (isVendored) stage.say('       Gems are taken from the folder vendor/cache');
  const install = ['bundle', 'install', ...(isVendored ? ['--local'] : [])];
  await explaining(stage.app, RUBY_HINTS, () => stage.run(install, environment));
  await removeMadeFiles(stage);
  await precompileAssets(stage, environment);
  await writeProfile(stage);
}

async function chooseRuby(stage: Stage): Promise<void> {
  const install = 'apt-get install ruby ruby-bundler ruby-dev build-essential';
  const fail = (message: string): never => {
    throw new StagingFailedError('BuildpackCompileFailed', message);
  };
  if (findProgram('ruby') === null) fail(`Ruby is not on this machine. As root: ${install}; then push again.`);
  if (findProgram('bundle') === null) fail(`Bundler is not on this machine. As root: ${install}; then push again.`);
  stage.say(`-----> ${(await answerOf(['ruby', '--version'], stage.environment)) ?? 'Ruby'}`);
}

/** What holds a time or a path of the build, and nothing reads where the app runs. */
async function removeMadeFiles(stage: Stage): Promise<void> {
  const script = `Dir.glob(ARGV[0] + '/ruby/*/{cache,extensions/**/gem_make.out,extensions/**/mkmf.log}').each { |f| require 'fileutils'; FileUtils.rm_rf(f) }`;
  await stage.run(['ruby', '-e', script, join(stage.deps, 'gems')]);
}

/** Rails, as Heroku and CF do it. A secret is needed to load the app, and is not kept. */
async function precompileAssets(stage: Stage, environment: Record<string, string>): Promise<void> {
  const gems = await readGems(stage.app);
  const hasPipeline = ['sprockets-rails', 'sprockets', 'propshaft', 'webpacker', 'vite_rails'].some(gem =>
    gems.has(gem),
  );
  if (!gems.has('railties') || !hasPipeline || !existsSync(join(stage.app, 'bin/rails'))) return;
  stage.say('-----> Precompiling assets');
  const secret = stage.environment.SECRET_KEY_BASE ?? 'only-while-staging';
  const more = { ...environment, SECRET_KEY_BASE: secret, SECRET_KEY_BASE_DUMMY: '1' };
  await explaining(stage.app, RUBY_HINTS, () => stage.run(['bundle', 'exec', 'rake', 'assets:precompile'], more));
  await rm(join(stage.app, 'tmp/cache'), { recursive: true, force: true });
}

async function writeProfile(stage: Stage): Promise<void> {
  const lines = Object.entries(settings(stage)).map(([name, value]) => `export ${name}="\${${name}:-${value}}"`);
  await writeFile(
    join(stage.profileD, 'ruby.sh'),
    `${lines.join('\n')}
export BUNDLE_DISABLE_VERSION_CHECK=true
export RAILS_LOG_TO_STDOUT="\${RAILS_LOG_TO_STDOUT:-enabled}"
export RAILS_SERVE_STATIC_FILES="\${RAILS_SERVE_STATIC_FILES:-enabled}"
export MALLOC_ARENA_MAX="\${MALLOC_ARENA_MAX:-2}"
export LANG="\${LANG:-C.UTF-8}"
export PATH="${join(stage.app, 'bin')}:$PATH"
`,
  );
}
