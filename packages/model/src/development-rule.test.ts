import { describe, expect, test } from 'vitest';
import {
  type DevelopmentChanges,
  type DevelopmentFolder,
  type DevelopmentJudgement,
  developmentFacts,
  judgeChanges,
} from './development-rule.ts';

type Files = Readonly<Record<string, string>>;

function view(files: Files): DevelopmentFolder {
  return { paths: new Set(Object.keys(files)), textOf: path => files[path] ?? null };
}

interface Changed extends Partial<DevelopmentChanges> {
  /** As they are after it; absent: as before. */
  readonly now?: Files;
  readonly hasCommand?: boolean;
  readonly runsSources?: boolean;
}

/** Of an app of that buildpack that was pushed with these files. */
function judge(buildpack: string, files: Files, changed: Changed): DevelopmentJudgement {
  const { now = files, hasCommand = false, runsSources = false, added = [], removed = [] } = changed;
  const buildpacks = buildpack.split(' ');
  const facts = developmentFacts(buildpacks, view(files));
  const changes = { added, removed, changed: changed.changed ?? [] };
  return judgeChanges({ buildpacks, facts, hasCommand, runsSources }, view(now), changes);
}

/** `build PATH`, `restart` or `put`. */
function said(buildpack: string, files: Files, changed: Changed): string {
  const judged = judge(buildpack, files, changed);
  return judged.do === 'build' ? `build ${judged.path}` : judged.restart ? 'restart' : 'put';
}

const NODE = { 'package.json': '{"scripts":{"start":"node app.js"}}', 'app.js': '', 'views/a.html': '' };
const PYTHON = {
  'requirements.txt': 'flask\n-r more/extra.txt\n',
  'app.py': 'app = Flask(__name__)\n',
  'words.py': '',
};

describe('judgeChanges()', () => {
  test.each([
    ['nodejs_buildpack', NODE, 'app.js', 'restart'],
    ['https://github.com/cloudfoundry/nodejs-buildpack', NODE, 'app.js', 'restart'],
    ['nodejs_buildpack', NODE, 'views/a.html', 'restart'],
    ['python_buildpack', PYTHON, 'words.py', 'restart'],
    ['ruby_buildpack', { Gemfile: '', 'app.rb': '' }, 'app.rb', 'restart'],
    ['php_buildpack', { 'index.php': '' }, 'index.php', 'restart'],
    ['php_buildpack', { 'index.php': '' }, 'a.css', 'put'],
    ['staticfile_buildpack', { Staticfile: '' }, 'index.html', 'put'],
    ['binary_buildpack', { Procfile: '' }, 'bin/server.so', 'restart'],
    ['nodejs_buildpack', NODE, 'package.json', 'build package.json'],
    ['nodejs_buildpack', NODE, 'packages/a/package.json', 'build packages/a/package.json'],
    ['nodejs_buildpack', NODE, 'src/fast.cc', 'build src/fast.cc'],
    ['python_buildpack', PYTHON, 'requirements.txt', 'build requirements.txt'],
    ['python_buildpack', PYTHON, 'more/extra.txt', 'build more/extra.txt'],
    ['python_buildpack', PYTHON, 'dev-requirements.txt', 'build dev-requirements.txt'],
    ['python_buildpack', PYTHON, 'static/robots.txt', 'restart'],
    ['ruby_buildpack', { Gemfile: '' }, 'Gemfile.lock', 'build Gemfile.lock'],
    ['php_buildpack', { 'index.php': '' }, 'vendor/autoload.php', 'build vendor/autoload.php'],
    ['staticfile_buildpack', { Staticfile: '' }, 'Staticfile.auth', 'build Staticfile.auth'],
    ['nodejs_buildpack', NODE, '.profile.d/a.sh', 'build .profile.d/a.sh'],
    ['go_buildpack', {}, 'main.go', 'build main.go'],
    ['go_buildpack', {}, 'a.html', 'build a.html'],
    ['java_buildpack', {}, 'a.html', 'build a.html'],
    ['https://example.com/mine.git', {}, 'a.html', 'build a.html'],
    ['nodejs_buildpack mine', NODE, 'app.js', 'build app.js'],
    ['nodejs_buildpack python_buildpack', NODE, 'app.js', 'restart'],
    ['nodejs_buildpack staticfile_buildpack', NODE, 'app.js', 'build app.js'],
    ['', NODE, 'app.js', 'build app.js'],
  ])('%s %j: %s is %s', (buildpack, files, path, expected) => {
    expect(said(buildpack, files, { changed: [path] })).toBe(expected);
  });

  test('names the file that asks for a build, wherever it stands among the others', () => {
    expect(said('nodejs_buildpack', NODE, { changed: ['app.js'], removed: ['yarn.lock'] })).toBe('build yarn.lock');
  });

  test("what a build script makes of the sources is made by it alone, unless the app's command reads them", () => {
    const built = (script: string): Files => ({
      'package.json': JSON.stringify({ scripts: { start: 'x', ...JSON.parse(script) } }),
    });
    const change = { changed: ['src/a.ts'] };
    expect(said('nodejs_buildpack', built('{"build":"tsc"}'), change)).toBe('build src/a.ts');
    expect(said('nodejs_buildpack', built('{"postinstall":"prisma generate"}'), change)).toBe('build src/a.ts');
    expect(said('nodejs_buildpack', built('{"prepare":"husky || true"}'), change)).toBe('restart');
    expect(said('nodejs_buildpack', built('{"build":"tsc"}'), { ...change, runsSources: true })).toBe('restart');
  });

  test('a text that cannot be read for now may say anything', () => {
    const folder = { paths: new Set(['package.json', 'app.js']), textOf: () => null };
    const build = { buildpacks: ['nodejs_buildpack'], facts: new Map(), hasCommand: true, runsSources: false };
    const judged = judgeChanges(build, folder, { added: [], changed: ['app.js'], removed: [] });
    expect(judged).toEqual({ do: 'build', path: 'package.json' });
  });

  test('what would start otherwise is built, unless it is said how it starts', () => {
    const bare = { 'package.json': '{"main":"./lib"}', 'lib/index.js': '' };
    const more = { ...bare, 'server.js': '' };
    expect(said('nodejs_buildpack', bare, { added: ['server.js'], now: more })).toBe('build server.js');
    expect(said('nodejs_buildpack', bare, { added: ['server.js'], now: more, hasCommand: true })).toBe('restart');
    expect(said('nodejs_buildpack', more, { changed: ['server.js'] })).toBe('restart');
    const renamed = { ...PYTHON, 'app.py': 'server = Flask(__name__)\n' };
    expect(said('python_buildpack', PYTHON, { changed: ['app.py'], now: renamed })).toBe('build app.py');
    expect(
      said('python_buildpack', PYTHON, { changed: ['app.py'], now: { ...PYTHON, 'app.py': 'app = Flask("x")' } }),
    ).toBe('restart');
    expect(
      said('ruby_buildpack', { Gemfile: '' }, { added: ['config.ru'], now: { Gemfile: '', 'config.ru': '' } }),
    ).toBe('build config.ru');
    const php = { 'index.php': '' };
    expect(said('php_buildpack', php, { added: ['web/x.css'], now: { ...php, 'web/x.css': '' } })).toBe('build web');
  });

  test('compiled files of Python go with their sources, since it takes them unasked', () => {
    const judged = judge('python_buildpack', PYTHON, {
      changed: ['words.py', 'lib/a.html'],
      removed: ['pkg/b.py', 'pkg/c.py'],
    });
    expect(judged).toMatchObject({ do: 'sync', stale: ['__pycache__', 'pkg/__pycache__'] });
  });

  test.each([
    [{ 'setup.py': '' }, 'build src/a.py'],
    [{ 'pyproject.toml': '[build-system]\nrequires = []' }, 'build src/a.py'],
    [{ 'pyproject.toml': '[project]\nname = "a"' }, 'restart'],
    [{ 'pyproject.toml': '[build-system]', 'requirements.txt': 'flask' }, 'restart'],
    [{ 'requirements.txt': 'flask\n-e .\n' }, 'build src/a.py'],
    [{ 'requirements.txt': '-r dev.txt', 'dev.txt': './lib' }, 'build src/a.py'],
    [{ 'pyproject.toml': '[build-system]', 'poetry.lock': '' }, 'restart'],
    [{ 'pyproject.toml': 'mine = { path = "mine" }', 'poetry.lock': '' }, 'build src/a.py'],
    [{ 'pyproject.toml': '[build-system]', 'uv.lock': '' }, 'build src/a.py'],
    [{ Pipfile: 'mine = {path = "."}' }, 'build src/a.py'],
  ])('of a Python app with %j src/a.py is: %s', (files, expected) => {
    expect(said('python_buildpack', files, { changed: ['src/a.py'] })).toBe(expected);
  });

  test('static files of Django are collected by a build, where its settings say where to', () => {
    const django = { 'requirements.txt': '', 'manage.py': '', 'shop/settings.py': 'STATIC_ROOT = "static"' };
    expect(said('python_buildpack', django, { changed: ['shop/static/a.css'] })).toBe('build shop/static/a.css');
    expect(said('python_buildpack', django, { changed: ['shop/settings.py'] })).toBe('build shop/settings.py');
    expect(said('python_buildpack', django, { changed: ['shop/views.py'] })).toBe('restart');
    const without = { ...django, 'shop/settings.py': '' };
    expect(said('python_buildpack', without, { changed: ['shop/static/a.css'] })).toBe('restart');
  });

  test('assets of Rails are made by a build; where they are made of views and code, each change is one', () => {
    const rails = (gems: string): Files => ({ Gemfile: '', 'bin/rails': '', 'Gemfile.lock': `GEM\n  specs:\n${gems}` });
    const plain = rails('    railties (8.0)\n    propshaft (1.0)\n');
    expect(said('ruby_buildpack', plain, { changed: ['app/models/a.rb'] })).toBe('restart');
    expect(said('ruby_buildpack', plain, { changed: ['app/assets/a.css'] })).toBe('build app/assets/a.css');
    expect(said('ruby_buildpack', plain, { changed: ['config/routes.rb'] })).toBe('restart');
    const tailwind = rails('    railties (8.0)\n    propshaft (1.0)\n    tailwindcss-rails (4.0)\n');
    expect(said('ruby_buildpack', tailwind, { changed: ['app/views/a.erb'] })).toBe('build app/views/a.erb');
    expect(said('ruby_buildpack', { Gemfile: '', 'bin/rails': '' }, { changed: ['a.rb'] })).toBe('build a.rb');
  });

  test('classes that composer has listed are listed by a build', () => {
    const php = (composer: object): Files => ({ 'composer.json': JSON.stringify(composer) });
    const psr4 = php({ autoload: { 'psr-4': { 'App\\': 'src/' } } });
    expect(said('php_buildpack', psr4, { changed: ['src/A.php'] })).toBe('restart');
    expect(said('php_buildpack', psr4, { added: ['src/A.php'] })).toBe('build src/A.php');
    const listed = php({ autoload: { classmap: ['src'] } });
    expect(said('php_buildpack', listed, { changed: ['src/A.php'] })).toBe('build src/A.php');
    expect(said('php_buildpack', php({ scripts: { 'post-install-cmd': 'make' } }), { changed: ['a.css'] })).toBe(
      'build a.css',
    );
    const laravel = php({
      scripts: {
        'post-autoload-dump': [
          'Illuminate\\Foundation\\ComposerScripts::postAutoloadDump',
          '@php artisan package:discover --ansi',
        ],
      },
    });
    expect(said('php_buildpack', laravel, { changed: ['a.php'] })).toBe('restart');
  });

  const placed = (staticfile: string, ...paths: string[]): string[] => {
    const judged = judge(
      'staticfile_buildpack',
      { Staticfile: staticfile, 'dist/x': '', 'site/x': '', 'public/x': '' },
      { changed: paths },
    );
    return judged.do === 'sync' ? paths.map(judged.place) : ['build'];
  };

  test('a static file goes where the build has moved the site', () => {
    expect(placed('', 'index.html', 'public/a', '.well-known/x', 'nginx/conf')).toEqual([
      ...['public/index.html', 'public/public/a', '.well-known/x', 'nginx/conf'],
    ]);
    expect(placed('root: dist/\nhost_dot_files: enabled\n', 'dist/a', 'dist/.b', 'src/c', 'dist/nginx/d')).toEqual([
      ...['public/a', 'public/.b', 'src/c', 'dist/nginx/d'],
    ]);
    expect(placed('root: "public"', 'public/a', 'b')).toEqual(['public/a', 'b']);
    expect(placed('root: ./site', 'site/a')).toEqual(['public/a']);
  });

  test('a Staticfile that does not say plainly where the site is leaves it to the build', () => {
    expect(placed('{ root: dist }', 'a')).toEqual(['build']);
    expect(placed('root: &x dist', 'a')).toEqual(['build']);
    expect(placed('root: dist # here', 'a')).toEqual(['build']);
    expect(placed('root: gone', 'a')).toEqual(['build']);
    expect(placed('root: dist', 'public/a')).toEqual(['build']);
  });
});
