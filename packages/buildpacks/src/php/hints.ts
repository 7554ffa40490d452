/** What composer's output means, and what to do about it. */
import type { Hint } from '../explain.ts';

export const PHP_HINTS: readonly Hint[] = [
  [
    /requires? (?:PHP extension )?ext-(\w+)/,
    'a package wants the PHP extension $1. As root: apt-get install php-$1; then push again',
  ],
  [
    /requires php (\S+)|your php version \(([\d.]+)/i,
    'a package wants another PHP ($1) than this machine has: mend composer.json, or install that PHP',
  ],
  [
    /lock file is not up to date|not present in the lock file/,
    'composer.json and composer.lock do not agree: run "composer update" where you develop, and push the lock that it writes',
  ],
  [/Could not find (?:a matching version of )?package (\S+)/, '$1 is not to be had: mend composer.json'],
  [
    /Could not authenticate|401 Unauthorized|403 Forbidden/,
    'the registry wants a login: set COMPOSER_AUTH with cf set-env',
  ],
  [
    /curl error \d+|could not be (?:fully )?(?:down)?loaded/i,
    "packages could not be fetched from the build: check this machine's network, or push the folder vendor",
  ],
];
