/** php_buildpack: an app with a composer.json or an index.php, served by the PHP of the stack. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StagingFailedError } from '@cupola/model/errors';
import { BUILDPACK_VERSION, type Buildpack, type Stage } from '../buildpack.ts';
import { explaining } from '../explain.ts';
import { answerOf, findProgram } from '../found-programs.ts';
import { PHP_HINTS } from './hints.ts';
import { readPhpSettings, webFolder } from './settings.ts';

/** Answers what no file answers, as people's rewrite rules for Apache and nginx do: by the index.php of the folder. */
const ROUTER = `<?php
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH) ?: '/';
$file = realpath($_SERVER['DOCUMENT_ROOT'] . rawurldecode($path));
$inside = $file !== false && str_starts_with($file, realpath($_SERVER['DOCUMENT_ROOT']));
// Names with a dot in front are settings, not pages.
if (preg_match('#/\\.(?!well-known/)#', $path)) { http_response_code(404); return true; }
if ($inside && (is_file($file) || is_file($file . '/index.php') || is_file($file . '/index.html'))) return false;
$index = $_SERVER['DOCUMENT_ROOT'] . '/index.php';
if (!is_file($index)) return false;
$_SERVER['SCRIPT_NAME'] = '/index.php';
$_SERVER['SCRIPT_FILENAME'] = $index;
$_SERVER['PHP_SELF'] = '/index.php' . $path;
chdir($_SERVER['DOCUMENT_ROOT']);
require $index;
`;

/**
 * The commands that Heroku's users have in their Procfiles, `heroku-php-apache2 web/` and its kin: the last word that is a folder holds the pages.
 */
const HEROKU_COMMANDS = ['heroku-php-apache2', 'heroku-php-nginx'];
const herokuScript = (router: string): string => `#!/bin/sh
folder=.
for word in "$@"; do if [ -d "$word" ]; then folder=$word; fi; done
exec php -S "0.0.0.0:$PORT" -t "$folder" ${router}
`;

export const phpBuildpack: Buildpack = {
  name: 'php_buildpack',
  title: 'Php',
  detect: async app => {
    const settings = await readPhpSettings(app);
    const hasPages = existsSync(join(app, webFolder(app, settings), 'index.php'));
    return hasPages || existsSync(join(app, 'composer.json')) ? `php ${BUILDPACK_VERSION}` : null;
  },
  compile,
  release: async ({ app, deps }) => {
    const folder = webFolder(app, await readPhpSettings(app));
    return { web: `php -S 0.0.0.0:$PORT -t ${quoted(folder)} ${join(deps, 'router.php')}` };
  },
};

const quoted = (text: string): string => (/^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

async function compile(stage: Stage): Promise<void> {
  const php = findProgram('php');
  if (php === null)
    throw new StagingFailedError(
      'BuildpackCompileFailed',
      'PHP is not on this machine. As root: apt-get install php-cli php-mbstring php-xml php-curl composer; then push again.',
    );
  const version = await answerOf([php, '-r', 'echo PHP_VERSION;'], stage.environment);
  stage.say(`-----> PHP ${version ?? ''}`);
  await installPackages(stage);
  const router = join(stage.deps, 'router.php');
  await writeFile(router, ROUTER);
  await mkdir(join(stage.deps, 'bin'), { recursive: true });
  for (const name of HEROKU_COMMANDS)
    await writeFile(join(stage.deps, 'bin', name), herokuScript(router), { mode: 0o755 });
  await writeFile(
    join(stage.profileD, 'php.sh'),
    // One request at a time is what PHP's own server does unless it is told to fork.
    `export PHP_CLI_SERVER_WORKERS="\${PHP_CLI_SERVER_WORKERS:-4}"\nexport PATH="${join(stage.deps, 'bin')}:$PATH:${join(stage.app, 'vendor/bin')}"\n`,
  );
}

/** Composer's packages, unless they were pushed. */
async function installPackages(stage: Stage): Promise<void> {
  const file = join(stage.app, 'composer.json');
  if (!existsSync(file)) return;
  const wanted = await readRequired(file);
  if (wanted.length === 0 && !existsSync(join(stage.app, 'composer.lock')))
    return void stage.say('       No packages to install');
  if (existsSync(join(stage.app, 'vendor/autoload.php')))
    return void stage.say('       Packages are taken from the folder vendor');
  const composer = findProgram('composer');
  if (composer === null)
    throw new StagingFailedError(
      'BuildpackCompileFailed',
      `composer.json asks for ${wanted.slice(0, 3).join(', ')}, and composer is not on this machine. As root: apt-get install composer; or push the folder vendor.`,
    );
  stage.say('-----> Installing packages (composer)');
  const environment = {
    COMPOSER_CACHE_DIR: join(stage.cache, 'composer'),
    COMPOSER_NO_INTERACTION: '1',
    COMPOSER_PROCESS_TIMEOUT: '0',
  };
  const argv = [
    composer,
    'install',
    '--no-dev',
    '--prefer-dist',
    '--optimize-autoloader',
    '--no-progress',
    '--no-ansi',
  ];
  await explaining(stage.app, PHP_HINTS, () => stage.run(argv, environment));
  // Where a package came from, and when: nothing reads it where the app runs.
  await rm(join(stage.app, 'vendor/composer/.cache'), { recursive: true, force: true });
}

/** Packages, without PHP itself and its extensions. @throws StagingFailedError for a file that is no JSON. */
async function readRequired(file: string): Promise<string[]> {
  try {
    const { require: required = {} } = JSON.parse(await readFile(file, 'utf8')) as { require?: Record<string, string> };
    return Object.keys(required).filter(name => name.includes('/'));
  } catch {
    throw new StagingFailedError('BuildpackCompileFailed', 'composer.json is no JSON. Mend it and push again.');
  }
}
