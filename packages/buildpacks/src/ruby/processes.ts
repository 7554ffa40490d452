/** How a Ruby app is started when neither the manifest nor a Procfile says so (Heroku's and CF's ruby buildpacks). */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Names of all gems in a Gemfile.lock. */
export function gemsOfLock(lock: string): ReadonlySet<string> {
  return new Set([...lock.matchAll(/^ {4}([\w.-]+) \(/gm)].map(([, name]) => name ?? ''));
}

/** Rails, then a config.ru by the server that is in the Gemfile, then a script by a usual name. */
export function rubyProcesses(app: string, gems: ReadonlySet<string>): Record<string, string> {
  const has = (file: string): boolean => existsSync(join(app, file));
  if (gems.has('railties') && has('bin/rails')) {
    const console = { console: 'bin/rails console', rake: 'bundle exec rake' };
    return { web: 'bin/rails server -b 0.0.0.0 -p $PORT -e $RAILS_ENV', ...console };
  }
  if (has('config.ru')) {
    const puma = has('config/puma.rb')
      ? 'bundle exec puma -C config/puma.rb'
      : 'bundle exec puma -b tcp://0.0.0.0:$PORT';
    const server = gems.has('puma')
      ? puma
      : gems.has('thin')
        ? 'bundle exec thin start -R config.ru -e $RACK_ENV -p $PORT'
        : 'bundle exec rackup config.ru -o 0.0.0.0 -p $PORT';
    return { web: server, ...(has('Rakefile') ? { rake: 'bundle exec rake' } : {}) };
  }
  const script = ['app.rb', 'server.rb', 'main.rb', 'web.rb'].find(has);
  return script === undefined ? {} : { web: `bundle exec ruby ${script}` };
}
