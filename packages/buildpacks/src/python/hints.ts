/** What the output of pip, uv and poetry means, and what to do about it. */
import type { Hint } from '../explain.ts';

export const PYTHON_HINTS: readonly Hint[] = [
  [
    /pg_config executable not found/,
    'psycopg2 is compiled against libpq: ask for psycopg2-binary, or on this machine, as root: apt-get install libpq-dev',
  ],
  [
    /fatal error: Python\.h/,
    "a package is compiled, and Python's headers are not on this machine. As root: apt-get install python3-dev build-essential",
  ],
  [
    /command '?(?:[\w-]*gcc|cc|g\+\+|clang)'? failed: No such file|unable to execute '[\w-]*(?:gcc|cc)'|Unable to locate a C compiler/,
    'a package is compiled, and there is no C compiler on this machine. As root: apt-get install build-essential python3-dev',
  ],
  [
    /NewConnectionError|Could not connect|error sending request|Failed to fetch: |client error \(Connect\)/,
    "the registry could not be reached from the build: check this machine's network and pip's index-url and proxy settings, or push the packages in the folder vendor",
  ],
  [
    /No matching distribution found for (\S+)/,
    '$1 is not in the registry in a version for this Python: mend its version, or ask for another Python in runtime.txt',
  ],
  [
    /ResolutionImpossible|conflicting dependencies|No solution found when resolving/,
    'the versions asked for exclude each other: mend them where you develop',
  ],
  [
    /THESE PACKAGES DO NOT MATCH THE HASHES/,
    'a package is not the one whose hash stands in the file: make the lock anew where you develop',
  ],
  [/Invalid requirement: (.{1,80})/, 'this line of the requirements cannot be read: $1'],
  [
    /requires a different Python|Requires-Python|incompatible with the project's Python requirement/,
    'a package wants another Python: ask for one in runtime.txt',
  ],
  [
    /lockfile .*needs to be updated|uv\.lock.* but `--(?:locked|frozen)`|pyproject\.toml changed significantly since poetry\.lock/,
    'pyproject.toml and its lock do not agree: run "uv lock" or "poetry lock" where you develop, and push what it writes',
  ],
  [
    /Multiple top-level (?:packages|modules) discovered/,
    'the app is pushed as a package, and setuptools does not know which folder it is: name what the app needs in requirements.txt',
  ],
  [
    /metadata-generation-failed|Failed building wheel for (\S+)|subprocess-exited-with-error/,
    'a package could not be built; its own words are in the log above',
  ],
];

/** `manage.py collectstatic`. */
export const STATIC_HINTS: readonly Hint[] = [
  [/ModuleNotFoundError: No module named '?([\w.]+)/, '$1 is not installed: name it in requirements.txt'],
  [
    /ImproperlyConfigured|KeyError|Traceback/,
    "Django's settings want something that is not there while staging: set it with cf set-env, or cf set-env APP DISABLE_COLLECTSTATIC 1",
  ],
];
