/**
 * Apps that are each broken in one way, as people break them, and what a push has to say of it: the cause, the line that shows it, and the command to go on
 * with. A drill that passes for another reason is no drill: each asks for words that only its own cause brings.
 */
import type { CauseCode } from '@cupola/model/causes';

export interface Drill {
  name: string;
  code: CauseCode;
  /** In what is printed: the evidence. */
  shows: RegExp;
  /** The one command, with the app's name as APP. */
  next: string;
  files: Record<string, string>;
  flags: string[];
  /** What has to be enforced for it to break at all: limits and networks of their own are root's. */
  needsRoot?: boolean;
}

const SERVE = "require('http').createServer((_, answer) => answer.end('hi')).listen";
const node = (server: string, more: Record<string, unknown> = {}): Record<string, string> => ({
  'package.json': JSON.stringify({ name: 'drill', scripts: { start: 'node server.js' }, ...more }),
  'server.js': server,
});
/** A program of the shell: no buildpack's work, so that staging takes no time. */
const shell = (command: string, files: Record<string, string> = {}): Pick<Drill, 'files' | 'flags'> => ({
  files: { 'README.md': 'a drill\n', ...files },
  flags: ['-b', 'binary_buildpack', '-c', command],
});
/** Long enough for a program to come up beside others that are pushed, on a busy machine: one that has not is told so instead. Short enough for a test. */
const TIMEOUT = ['-t', '15'];

export const START_DRILLS: Drill[] = [
  {
    name: 'listens on a port of its own',
    code: 'wrong-port',
    shows: /listens on port 3000 instead of 8080/,
    next: 'cupola push APP',
    files: node(`${SERVE}(3000)`),
    flags: TIMEOUT,
    needsRoot: true,
  },
  {
    name: 'listens on localhost',
    code: 'loopback-only',
    shows: /listens on 127\.0\.0\.1:8080 only/,
    next: 'cupola push APP',
    files: node(`${SERVE}(process.env.PORT, '127.0.0.1')`),
    flags: TIMEOUT,
    needsRoot: true,
  },
  {
    name: 'listens on localhost, in Python',
    code: 'loopback-only',
    shows: /listens on 127\.0\.0\.1:8080 only/,
    next: 'cupola push APP',
    ...shell('python3 -m http.server --bind 127.0.0.1 $PORT'),
    flags: [...shell('python3 -m http.server --bind 127.0.0.1 $PORT').flags, ...TIMEOUT],
    needsRoot: true,
  },
  {
    name: 'is a folder of files and no command',
    code: 'no-start-command',
    shows: /No start command/,
    next: 'cupola push APP -c "COMMAND"',
    files: { 'README.md': 'x' },
    flags: ['-b', 'binary_buildpack'],
  },
  {
    name: 'has a typo in its command',
    code: 'command-not-found',
    shows: /nodejs-server: (?:command )?not found/,
    next: 'cupola push APP -c "COMMAND"',
    ...shell('nodejs-server server.js'),
  },
  {
    name: 'starts a script that may not be executed',
    code: 'command-not-found',
    shows: /run\.sh: Permission denied/,
    next: 'cupola push APP -c "COMMAND"',
    ...shell('./run.sh', { 'run.sh': '#!/bin/sh\nexec sleep 1000\n' }),
  },
  {
    name: 'starts a script written on Windows',
    code: 'command-not-found',
    shows: /run\.sh/,
    next: 'cupola push APP -c "COMMAND"',
    ...shell('chmod +x run.sh; exec ./run.sh', { 'run.sh': '#!/bin/sh\r\nexec sleep 1000\r\n' }),
  },
  {
    name: 'is a job that ends',
    code: 'exits-at-once',
    shows: /all done/,
    next: 'cupola logs APP --recent',
    ...shell('echo all done'),
  },
  {
    name: 'gives up without a database',
    code: 'exits-at-once',
    shows: /DATABASE_URL is not set/,
    next: 'cupola logs APP --recent',
    ...shell('echo DATABASE_URL is not set >&2; exit 3'),
  },
  {
    name: 'ends without a word',
    code: 'exits-at-once',
    shows: /printed nothing, and ended with status 4/,
    next: 'cupola logs APP --recent',
    ...shell('exit 4'),
  },
  {
    name: 'crashes in JavaScript',
    code: 'crash',
    shows: /TypeError: Cannot read properties of undefined \(reading 'listen'\)/,
    next: 'cupola logs APP --recent',
    files: node('undefined.listen(1)'),
    flags: [],
  },
  {
    name: 'crashes by a promise that nobody caught',
    code: 'crash',
    shows: /Error: no config/,
    next: 'cupola logs APP --recent',
    files: node("Promise.reject(new Error('no config'))"),
    flags: [],
  },
  {
    name: 'crashes in Python',
    code: 'crash',
    shows: /KeyError: 'SECRET_KEY'/,
    next: 'cupola logs APP --recent',
    ...shell('python3 app.py', { 'app.py': 'import os\n\ndef key():\n    return os.environ["SECRET_KEY"]\n\nkey()\n' }),
  },
  {
    name: 'wants a module that nobody installed',
    code: 'dependency-not-found',
    shows: /Cannot find module 'expres'/,
    next: 'cupola push APP',
    files: node("require('expres')"),
    flags: [],
  },
  {
    name: 'wants a Python module that nobody installed',
    code: 'dependency-not-found',
    shows: /No module named 'no_such_module'/,
    next: 'cupola push APP',
    ...shell('python3 app.py', { 'app.py': 'import no_such_module\n' }),
  },
  {
    name: 'takes more memory than it has',
    code: 'out-of-memory',
    shows: /limit(?: is)? 64 MB/,
    next: 'cupola scale APP -m 256M',
    files: node('const kept = []; setInterval(() => kept.push(Buffer.alloc(8 << 20, 1)), 5)'),
    flags: ['-m', '64M'],
    needsRoot: true,
  },
  {
    name: 'fills its own heap',
    code: 'out-of-memory',
    shows: /heap out of memory/,
    next: 'cupola scale APP -m 512M',
    files: {
      'package.json': JSON.stringify({ name: 'drill', scripts: { start: 'node --max-old-space-size=16 server.js' } }),
      'server.js': 'const kept = []; for (;;) kept.push(Array.from({ length: 1000 }, () => ({})))',
    },
    flags: ['-m', '256M'],
  },
  {
    name: 'fills its disk',
    code: 'disk-quota',
    shows: /No space left on device/,
    next: 'cupola scale APP -k 256M',
    ...shell('exec dd if=/dev/zero of=big bs=1M count=200'),
    flags: [...shell('exec dd if=/dev/zero of=big bs=1M count=200').flags, '-k', '64M'],
    needsRoot: true,
  },
  {
    name: 'never listens',
    code: 'start-too-slow',
    shows: /listens on no port/,
    next: 'cupola push APP -t 180',
    ...shell('echo working; exec sleep 1000'),
    flags: [...shell('echo working; exec sleep 1000').flags, '-t', '2'],
  },
  {
    name: 'has no page at its health check path',
    code: 'health-path-fails',
    shows: /GET \/health on port \d+ answered 404, not 200/,
    next: 'cupola push APP -u http --endpoint PATH',
    files: node("require('http').createServer((_, answer) => answer.writeHead(404).end()).listen(process.env.PORT)"),
    flags: ['-u', 'http', '--endpoint', '/health', ...TIMEOUT],
  },
  {
    name: 'sends its health check to a login page',
    code: 'health-path-fails',
    shows: /answered 302, not 200/,
    next: 'cupola push APP -u http --endpoint PATH',
    files: node(
      "require('http').createServer((_, answer) => answer.writeHead(302, { location: '/login' }).end()).listen(process.env.PORT)",
    ),
    flags: ['-u', 'http', ...TIMEOUT],
  },
  {
    name: 'listens twice',
    code: 'port-in-use',
    shows: /EADDRINUSE/,
    next: 'cupola push APP',
    files: node(`${SERVE}(9000); ${SERVE}(9000)`),
    flags: [],
  },
  {
    name: 'has an old password of its database',
    code: 'service-login',
    shows: /password authentication failed for user "shop"/,
    next: 'cupola env APP',
    // As node-postgres ends an app that nobody told of the new one.
    files: node(
      "Promise.reject(Object.assign(new Error('password authentication failed for user \"shop\"'), { severity: 'FATAL', code: '28P01' }))",
    ),
    flags: [],
  },
  {
    name: 'wants more memory than the machine has',
    code: 'no-room',
    shows: /needs \d+M, \d+M of \d+M free/,
    next: 'cupola apps',
    ...shell('sleep 1000'),
    flags: [...shell('sleep 1000').flags, '-m', '900G'],
  },
];

export const STAGING_DRILLS: Drill[] = [
  {
    name: 'is in the wrong folder',
    code: 'no-buildpack-fits',
    shows: /not successfully detected/,
    next: 'cupola push APP -b BUILDPACK',
    files: { 'app/package.json': '{}', 'notes.txt': 'x' },
    flags: [],
  },
  {
    name: 'names a buildpack that is not there',
    code: 'unknown-buildpack',
    shows: /cobol_buildpack/,
    next: 'cupola buildpacks',
    files: { 'a.cob': 'x' },
    flags: ['-b', 'cobol_buildpack'],
  },
  {
    name: 'wants a package that does not exist',
    code: 'dependency-not-found',
    shows: /cupola-drill-no-such-package/,
    next: 'cupola push APP',
    files: node('', { dependencies: { 'cupola-drill-no-such-package': '1.0.0' } }),
    flags: [],
  },
  {
    name: 'wants a Python package that does not exist',
    code: 'dependency-not-found',
    shows: /cupola-drill-no-such-package/,
    next: 'cupola push APP',
    files: { 'requirements.txt': 'cupola-drill-no-such-package==1.0\n', 'app.py': 'print(1)\n' },
    flags: ['-c', 'python3 app.py'],
  },
  {
    name: 'has a lockfile of other dependencies',
    code: 'lockfile-disagrees',
    shows: /package-lock|EUSAGE/,
    next: 'cupola push APP',
    files: {
      ...node('', { dependencies: { 'is-odd': '3.0.1' } }),
      'package-lock.json': JSON.stringify({
        name: 'drill',
        lockfileVersion: 3,
        requires: true,
        packages: { '': { name: 'drill' } },
      }),
    },
    flags: [],
  },
  {
    name: 'asks for a Node.js that nobody has made',
    code: 'engine-version',
    shows: /node 99/,
    next: 'cupola push APP',
    files: node('', { engines: { node: '99.x' } }),
    flags: [],
  },
  {
    name: 'asks for a Node.js in words',
    code: 'engine-version',
    shows: /"newest please", which is no version or range/,
    next: 'cupola push APP',
    files: node('', { engines: { node: 'newest please' } }),
    flags: [],
  },
  {
    name: 'has a Procfile that is none',
    code: 'procfile-unreadable',
    shows: /Failed to read command from Procfile/,
    next: 'cupola push APP',
    files: { Procfile: 'node server.js\n' },
    flags: [],
  },
  {
    name: 'does not build',
    code: 'build-failed',
    shows: /cannot compile it/,
    next: 'cupola logs APP --recent',
    files: node('', {
      scripts: {
        start: 'node server.js',
        build: 'node -e "console.error(\'error: cannot compile it\'); process.exit(2)"',
      },
    }),
    flags: [],
  },
  {
    name: 'installs from a registry that is away',
    code: 'registry-unreachable',
    shows: /ECONNREFUSED/,
    next: 'cupola push APP',
    files: {
      ...node('', { dependencies: { 'is-odd': '3.0.1' } }),
      '.npmrc': 'registry=http://127.0.0.1:9/\nfetch-retries=0\n',
    },
    flags: [],
  },
  {
    name: 'has a package.json that is no JSON',
    code: 'build-failed',
    shows: /package\.json cannot be read/,
    next: 'cupola logs APP --recent',
    files: { 'package.json': '{ "name": }' },
    flags: [],
  },
];
