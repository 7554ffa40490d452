/** What bundler's output means, and what to do about it. */
import type { Hint } from '../explain.ts';

export const RUBY_HINTS: readonly Hint[] = [
  [
    /Your Ruby version is (\S+), but your Gemfile specified/,
    'the Gemfile asks for another Ruby than this machine has ($1 is here): change "ruby" in the Gemfile, or install that Ruby in /usr',
  ],
  [
    /mkmf|extconf\.rb failed|can't find header files for ruby|Failed to build gem native extension/,
    'a gem is compiled, and something for that is not on this machine. As root: apt-get install ruby-dev build-essential; then push again',
  ],
  [
    /frozen|deployment mode|Gemfile\.lock .*(?:not|missing)|lockfile/i,
    'Gemfile and Gemfile.lock do not agree: run "bundle install" where you develop, and push the lock that it writes',
  ],
  [
    /Could not find gem '?([\w.-]+)|Could not find ([\w.-]+)/,
    'a gem is not to be had ($1): run "bundle package" where you develop and push vendor/cache, or mend the Gemfile',
  ],
  [
    /Could not (?:reach host|fetch specs)|Net::|SocketError|Gem::RemoteFetcher/,
    "the registry of gems could not be reached from the build: check this machine's network, or push the folder vendor/cache (bundle package)",
  ],
  [
    /Missing `secret_key_base`|KeyError: key not found: "(\w+)"/,
    'the app wants a variable while its assets are made ($1): set it with cf set-env',
  ],
];
