import { describe, expect, test } from 'vitest';
import { type CrashFacts, crashCause, listeningCause, type UnhealthyFacts } from './crash-cause.ts';

const anEnd = (facts: Partial<CrashFacts>): CrashFacts => ({
  code: 1,
  signal: null,
  outOfMemory: false,
  lost: false,
  unhealthy: null,
  wasRunning: false,
  memoryMb: 64,
  lastLines: [],
  ...facts,
});
const unhealthy = (facts: Partial<UnhealthyFacts> = {}): UnhealthyFacts => ({
  found: 'connection refused on port 8080',
  isStart: true,
  isPathAtFault: false,
  listening: [],
  port: 8080,
  loopbackCounts: false,
  ...facts,
});
const on = (port: number, loopbackOnly = false) => [{ port, loopbackOnly }];

describe('crashCause() by what the cell knows', () => {
  test.each([
    ['out-of-memory', { outOfMemory: true, code: null, signal: 9, lastLines: ['Error: x', '    at y (z:1)'] }],
    ['instance-lost', { lost: true, code: null }],
    ['wrong-port', { unhealthy: unhealthy({ listening: on(3000) }) }],
    ['loopback-only', { unhealthy: unhealthy({ listening: on(8080, true) }) }],
    ['start-too-slow', { unhealthy: unhealthy() }],
    ['start-too-slow', { unhealthy: unhealthy({ listening: on(8080) }) }],
    ['health-path-fails', { unhealthy: unhealthy({ isPathAtFault: true, listening: on(8080) }) }],
    ['unhealthy', { unhealthy: unhealthy({ isStart: false, listening: on(3000) }) }],
    ['command-not-found', { code: 127, lastLines: ['/bin/bash: line 1: nod: command not found'] }],
    ['command-not-found', { code: 126, lastLines: ['/bin/bash: line 1: ./run: Permission denied'] }],
    ['exits-at-once', { code: 0, lastLines: ['done'] }],
    ['ended', { code: 0, wasRunning: true, lastLines: ['done'] }],
  ] satisfies [string, Partial<CrashFacts>][])('%s', (code, facts) => {
    expect(crashCause(anEnd(facts)).code).toBe(code);
  });
});

describe('crashCause() by what the app printed', () => {
  test.each([
    [
      'crash',
      'Error: boom',
      'throw new Error("boom")\n^\n\nError: boom\n    at Object.<anonymous> (/home/vcap/app/server.js:1:7)\n\nNode.js v24.21.0',
    ],
    [
      'crash',
      "TypeError: Cannot read properties of undefined (reading 'x')",
      "TypeError: Cannot read properties of undefined (reading 'x')\n    at a (b.js:1:2)",
    ],
    [
      'crash',
      'ValueError: bad',
      'Traceback (most recent call last):\n  File "app.py", line 3, in <module>\n    raise ValueError("bad")\nValueError: bad',
    ],
    [
      'crash',
      'panic: runtime error: index out of range [5] with length 1',
      'panic: runtime error: index out of range [5] with length 1\n\ngoroutine 1 [running]:\nmain.main()\n\t/x.go:9 +0x1d',
    ],
    [
      'crash',
      'Exception in thread "main" java.lang.IllegalStateException: no',
      'Exception in thread "main" java.lang.IllegalStateException: no\n\tat Main.main(Main.java:3)',
    ],
    [
      'crash',
      "app.rb:1:in 'Object#x': bad (RuntimeError)",
      "app.rb:1:in 'Object#x': bad (RuntimeError)\n\tfrom app.rb:3:in '<main>'",
    ],
    [
      'crash',
      'PHP Fatal error:  Uncaught Exception: no in /x.php:2',
      'PHP Fatal error:  Uncaught Exception: no in /x.php:2\nStack trace:\n#0 /x.php(5): a()\n#1 {main}',
    ],
    ['crash', "thread 'main' panicked at src/main.rs:2:5:", "thread 'main' panicked at src/main.rs:2:5:\nno"],
    [
      'dependency-not-found',
      "Error: Cannot find module 'expres'",
      "node:internal\n  throw err;\n  ^\n\nError: Cannot find module 'expres'\nRequire stack:\n- /home/vcap/app/server.js\n    at x (y:1:2)",
    ],
    [
      'dependency-not-found',
      "ModuleNotFoundError: No module named 'flask'",
      "Traceback (most recent call last):\nModuleNotFoundError: No module named 'flask'",
    ],
    [
      'out-of-memory',
      'FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory',
      'FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory',
    ],
    [
      'disk-quota',
      'Error: ENOSPC: no space left on device, write',
      'Error: ENOSPC: no space left on device, write\n    at x (y:1:2)',
    ],
    [
      'port-in-use',
      'Error: listen EADDRINUSE: address already in use :::8080',
      'Error: listen EADDRINUSE: address already in use :::8080\n    at x (y:1:2)',
    ],
    [
      'service-login',
      'error: password authentication failed for user "shop"',
      'error: password authentication failed for user "shop"\n    at Parser.parseErrorMessage (node_modules/pg-protocol/dist/parser.js:285:98)',
    ],
    [
      'service-login',
      'ReplyError: WRONGPASS invalid username-password pair or user is disabled.',
      'ReplyError: WRONGPASS invalid username-password pair or user is disabled.',
    ],
    ['exits-at-once', 'login of ada: wrong password', 'login of ada: wrong password'],
    [
      'no-start-command',
      'No start command: neither the droplet nor the manifest has one for this process.',
      'No start command: neither the droplet nor the manifest has one for this process.',
    ],
    ['exits-at-once', 'no database', 'hello\nno database\n'],
  ])('%s: %s', (code, evidence, output) => {
    expect(crashCause(anEnd({ lastLines: output.split('\n') }))).toEqual({ code, evidence });
  });

  test('says how a silent one ended', () => {
    expect(crashCause(anEnd({ code: 3 })).evidence).toBe('it printed nothing, and ended with status 3');
    expect(crashCause(anEnd({ code: null, signal: 15 })).evidence).toBe('it printed nothing, and signal 15 ended it');
  });

  test('an error that was printed and survived does not make a timed-out start a crash', () => {
    const lastLines = ['Error: cache is away', '    at x (y:1:2)'];
    expect(crashCause(anEnd({ lastLines, unhealthy: unhealthy({ listening: on(3000) }) })).code).toBe('wrong-port');
  });
});

describe('listeningCause()', () => {
  test('tells the wrong port, loopback only, and nothing at all apart', () => {
    const seen = { port: 8080, loopbackCounts: false };
    expect(listeningCause({ ...seen, listening: [] })?.evidence).toContain('listens on no port');
    expect(listeningCause({ ...seen, listening: on(3000) })?.evidence).toBe(
      'the app listens on port 3000 instead of 8080: it has to take the one in PORT',
    );
    expect(listeningCause({ ...seen, listening: on(8080, true) })?.evidence).toBe(
      'the app listens on 127.0.0.1:8080 only: it has to listen on 0.0.0.0',
    );
    expect(listeningCause({ ...seen, loopbackCounts: true, listening: on(8080, true) })).toBeNull();
    expect(listeningCause({ ...seen, listening: on(8080) })).toBeNull();
  });
});
