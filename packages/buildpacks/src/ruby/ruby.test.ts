import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { aFolder, aStage } from '../fixtures.ts';
import { findProgram } from '../found-programs.ts';
import { gemsOfLock, rubyProcesses } from './processes.ts';
import { rubyBuildpack } from './ruby.ts';

const noRuby = findProgram('ruby') === null || findProgram('bundle') === null;
const web = (files: Record<string, string>, ...gems: string[]): string | undefined => {
  using app = aFolder(files);
  return rubyProcesses(app.path, new Set(gems)).web;
};

test('gemsOfLock() names all gems, not what they depend on a second time', () => {
  const lock =
    'GEM\n  remote: https://gems.example/\n  specs:\n    puma (6.4.2)\n      nio4r (~> 2.0)\n    rack (3.0.8)\n';
  expect([...gemsOfLock(lock)]).toEqual(['puma', 'rack']);
});

test('rubyProcesses() starts Rails, then rack by the server of the Gemfile, then a script', () => {
  expect(web({ 'bin/rails': '', 'config.ru': '' }, 'railties', 'puma')).toBe(
    'bin/rails server -b 0.0.0.0 -p $PORT -e $RAILS_ENV',
  );
  expect(web({ 'config.ru': '' }, 'puma')).toBe('bundle exec puma -b tcp://0.0.0.0:$PORT');
  expect(web({ 'config.ru': '', 'config/puma.rb': '' }, 'puma')).toBe('bundle exec puma -C config/puma.rb');
  expect(web({ 'config.ru': '' }, 'rack')).toBe('bundle exec rackup config.ru -o 0.0.0.0 -p $PORT');
  expect(web({ 'app.rb': '' })).toBe('bundle exec ruby app.rb');
  expect(web({ 'tool.rb': '' })).toBeUndefined();
});

const GEM = {
  Gemfile: 'gem "mine", path: "mine"\n',
  'mine/mine.gemspec':
    'Gem::Specification.new { |g| g.name = "mine"; g.version = "1"; g.summary = "x"; g.authors = ["x"]; g.files = [] }\n',
};

test.skipIf(noRuby)('ruby_buildpack installs the gems and tells the start where they are', async () => {
  using stage = aStage({ ...GEM, 'app.rb': '' });
  await rubyBuildpack.compile(stage);
  expect(existsSync(join(stage.app, '.bundle'))).toBe(false);
  expect(readFileSync(join(stage.profileD, 'ruby.sh'), 'utf8')).toContain(
    `BUNDLE_PATH="\${BUNDLE_PATH:-${stage.deps}/gems}"`,
  );
});

test.skipIf(noRuby)('ruby_buildpack says what to run when Gemfile and lock do not agree', async () => {
  const lock = 'GEM\n  specs:\n\nPLATFORMS\n  ruby\n\nDEPENDENCIES\n  other\n';
  using stage = aStage({ ...GEM, 'Gemfile.lock': lock });
  await expect(rubyBuildpack.compile(stage)).rejects.toThrow(/run "bundle install" where you develop/);
});
