/** How a Node.js app is started when neither the manifest nor a Procfile says so. */
import { existsSync } from 'node:fs';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import type { Stage, Toolchain } from '../buildpack.ts';
import type { PackageJson } from './package-json.ts';

/** `scripts.start`, else server.js, else `main`, else index.js; null when there is nothing to start. */
export function startCommand(app: string, { scripts, main }: PackageJson): string | null {
  if (scripts.start !== undefined) return 'npm start';
  if (existsSync(join(app, 'server.js'))) return 'node server.js';
  if (main !== null && existsSync(join(app, main))) return `node ${shellQuote(main)}`;
  return existsSync(join(app, 'index.js')) ? 'node index.js' : null;
}

/** One program of the app's with words behind it: no shell needs to stay for it. */
function isPlain(app: string, script: string): boolean {
  const [program = '', ...words] = script.trim().split(/ +/);
  const isProgram =
    program === 'node' || (/^[\w.-]+$/.test(program) && existsSync(join(app, 'node_modules/.bin', program)));
  return isProgram && words.every(word => /^[\w./@%+=:,-]+$/.test(word));
}

/** Words that the shell itself knows. */
const SHELL_WORDS = new Set([
  'cd',
  'exec',
  'export',
  'eval',
  'set',
  'if',
  'for',
  'while',
  'case',
  'trap',
  'umask',
  'ulimit',
]);

/**
 * The program of the start script, where it is not to be found and development dependencies may have brought it: those are gone after the build. People find
 * that out when the start ends with 127, so it is told before.
 */
export function missingStartProgram(
  app: string,
  { scripts, devDependencies }: PackageJson,
  path: string,
): string | null {
  const [program = ''] = (scripts.start ?? '').trim().split(/\s+/);
  if (devDependencies.length === 0 || !/^[\w-][\w.-]*$/.test(program) || SHELL_WORDS.has(program)) return null;
  return [join(app, 'node_modules/.bin'), ...path.split(delimiter)].some(folder => existsSync(join(folder, program)))
    ? null
    : program;
}

/** As one word of a POSIX shell. */
function shellQuote(text: string): string {
  return /^[\w./@%+=:,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/**
 * Puts an `npm` in front of npm that does `npm start` itself, as npm would: same script, same variables, same two lines printed. Real npm would stay beside
 * each instance for its whole life, with 60 MB of its memory limit, and add a third of a second to each start. Everything else goes to npm. Not where the
 * start script has a `prestart` or `poststart`, or .npmrc chooses another shell.
 */
export async function writeNpmStart(
  stage: Stage,
  json: PackageJson,
  { npm, node }: { npm: Toolchain; node: Toolchain },
): Promise<void> {
  const { start, prestart, poststart } = json.scripts;
  const settings = await readFile(join(stage.app, '.npmrc'), 'utf8').catch(() => '');
  if (start === undefined || prestart !== undefined || poststart !== undefined || /script-shell/.test(settings)) return;
  const variables = {
    npm_command: 'start',
    npm_lifecycle_event: 'start',
    npm_lifecycle_script: start,
    npm_package_name: json.name,
    npm_package_version: json.version,
    npm_package_json: join(stage.app, 'package.json'),
    npm_execpath: join(npm.path, 'lib/node_modules/npm/bin/npm-cli.js'),
    npm_node_execpath: join(node.path, 'bin/node'),
    npm_config_user_agent: `npm/${npm.version} node/v${node.version} ${process.platform} ${process.arch} workspaces/false`,
  };
  const header = [
    json.name === '' ? '' : `${json.name}${json.version === '' ? '' : `@${json.version}`} `,
    'start',
  ].join('');
  const script = [
    '#!/bin/sh',
    '# `npm start` as npm does it, without npm in memory beside the app. Made by the nodejs_buildpack from scripts.start.',
    `real=${shellQuote(join(npm.path, 'bin/npm'))}`,
    'case "$*" in start | "run start" | "run-script start") ;; *) exec "$real" "$@" ;; esac',
    `[ "$PWD" = ${shellQuote(stage.app)} ] || exec "$real" "$@"`,
    ...Object.entries(variables).map(([name, value]) => `export ${name}=${shellQuote(value)}`),
    'export INIT_CWD="$PWD"',
    `export PATH=${shellQuote(join(stage.app, 'node_modules/.bin'))}:"$PATH"`,
    `printf '\\n> %s\\n> %s\\n\\n' ${shellQuote(header)} ${shellQuote(start)}`,
    isPlain(stage.app, start) ? `exec ${start}` : `exec sh -c ${shellQuote(start)}`,
    '',
  ].join('\n');
  await mkdir(join(stage.deps, 'bin'), { recursive: true });
  await writeFile(join(stage.deps, 'bin/npm'), script);
  await chmod(join(stage.deps, 'bin/npm'), 0o755);
}
