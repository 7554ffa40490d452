/**
 * Why an instance ended, from what its cell saw: how it ended, what it listened on, what it printed last. Pure, so that the same facts give the same word on
 * every cell. What the cell knows for sure (killed for memory, ended by us) goes before what is read out of the output.
 */
import { type Cause, evidenceOf } from './causes.ts';

/** A listening TCP socket of the app. */
export interface ListeningSocket {
  readonly port: number;
  readonly loopbackOnly: boolean;
}

/** Why the cell ended an instance itself. */
export interface UnhealthyFacts {
  /** `connection refused on port 8080`, `GET /health on port 8080 answered 404, not 200`. */
  readonly found: string;
  /** It never passed: the start timeout is over. */
  readonly isStart: boolean;
  /** The port took connections, and the path did not answer as it should. */
  readonly isPathAtFault: boolean;
  /** What the app listened on at that moment; empty when nothing could be seen. */
  readonly listening: readonly ListeningSocket[];
  /** The port in PORT. */
  readonly port: number;
  /** The probe dials loopback: listening there alone is enough. */
  readonly loopbackCounts: boolean;
}

export interface CrashFacts {
  /** Exit status; null when a signal ended it, or nobody knows. */
  readonly code: number | null;
  readonly signal: number | null;
  readonly outOfMemory: boolean;
  /** Nobody saw its end. */
  readonly lost: boolean;
  /** Null: it ended by itself. */
  readonly unhealthy: UnhealthyFacts | null;
  /** It had been healthy. */
  readonly wasRunning: boolean;
  readonly memoryMb: number;
  /** Of its output, oldest first. */
  readonly lastLines: readonly string[];
}

/** Of a shell that could not run the command: not found, not executable (POSIX). */
const SHELL_CANNOT_RUN = [126, 127];

const OUT_OF_MEMORY =
  /JavaScript heap out of memory|java\.lang\.OutOfMemoryError|^MemoryError\b|fatal error: runtime: out of memory|Allowed memory size of \d+ bytes exhausted|NoMemoryError|memory allocation of \d+ bytes failed/;
const DISK_FULL = /\bENOSPC\b|\bEDQUOT\b|no space left on device|disk quota exceeded|database or disk is full/i;
const NO_START_COMMAND = /^No start command: neither the droplet/;
const MISSING_DEPENDENCY =
  /Cannot find (?:module|package) |ERR_MODULE_NOT_FOUND|ModuleNotFoundError: |ImportError: No module named|cannot load such file|Could not find gem|java\.lang\.(?:ClassNotFoundException|NoClassDefFoundError)|error while loading shared libraries|Failed opening required /;
const PORT_IN_USE = /EADDRINUSE|Address already in use|address already in use/;
/** In the words of PostgreSQL, MySQL, Redis, MongoDB, RabbitMQ and S3: those of nobody who logs in to the app itself. */
const LOGIN_REFUSED =
  /password authentication failed for user|no pg_hba\.conf entry for|Access denied for user '|\bWRONGPASS\b|\bNOAUTH Authentication required|MongoServerError: (?:bad auth|Authentication failed)|\bACCESS_REFUSED\b|\bInvalidAccessKeyId\b|\bSignatureDoesNotMatch\b/;

/** Lines that only a stack trace has: JavaScript and Java, Python, Go, Ruby, PHP, Rust. */
const STACK_TRACE =
  /^\s+at .+[:(]|^Traceback \(most recent call last\)|^goroutine \d+ \[|^\s+from .+:\d+:in |^#\d+ .+\(\d+\)|panicked at |^\s+File ".+", line \d+/;
/** The line that says what went wrong. */
const ERROR_LINE =
  /^(?:Uncaught |Unhandled |Caused by: |Exception in thread ".*" )?[\w.$:]*(?:Error|Exception|Failure|Panic)\b(?: \[[A-Z_]+\])?(?:: |$| \{)|^panic: |^fatal error: |^PHP (?:Fatal|Parse) error|^Error: |panicked at |^\S+:\d+:in .+\((?:\w|::)+\)$/;

export function crashCause(facts: CrashFacts): Cause {
  const { lastLines, outOfMemory, lost, memoryMb, unhealthy } = facts;
  if (outOfMemory) return { code: 'out-of-memory', evidence: `its limit is ${memoryMb} MB` };
  if (lost) return { code: 'instance-lost', evidence: null };
  const told = saidByOutput(lastLines);
  if (told !== null) return told;
  if (unhealthy !== null) return unhealthyCause(unhealthy);
  if (SHELL_CANNOT_RUN.includes(facts.code ?? 0))
    return {
      code: 'command-not-found',
      evidence: evidenceOf(lastLines.findLast(line => /not found|No such file|ermission denied/.test(line))),
    };
  if (lastLines.some(line => STACK_TRACE.test(line))) return { code: 'crash', evidence: errorLine(lastLines) };
  const code = facts.wasRunning ? 'ended' : 'exits-at-once';
  return { code, evidence: evidenceOf(lastLines.findLast(line => line.trim() !== '')) ?? endedText(facts) };
}

/** What an app says itself is surer than what follows from it: one whose disk is full may fail its health check. */
function saidByOutput(lines: readonly string[]): Cause | null {
  const line = (pattern: RegExp): string | null => evidenceOf(lines.find(one => pattern.test(one)));
  for (const [code, pattern] of [
    ['no-start-command', NO_START_COMMAND],
    ['out-of-memory', OUT_OF_MEMORY],
    ['disk-quota', DISK_FULL],
    ['dependency-not-found', MISSING_DEPENDENCY],
    ['port-in-use', PORT_IN_USE],
    ['service-login', LOGIN_REFUSED],
  ] as const) {
    const evidence = line(pattern);
    if (evidence !== null) return { code, evidence };
  }
  return null;
}

/** The newest line that names an error; else the newest that is no part of the trace. */
function errorLine(lines: readonly string[]): string | null {
  const named = lines.findLast(line => ERROR_LINE.test(line));
  return evidenceOf(named ?? lines.findLast(line => line.trim() !== '' && !STACK_TRACE.test(line)));
}

function endedText({ code, signal }: CrashFacts): string {
  return code === null
    ? `it printed nothing, and signal ${signal ?? 0} ended it`
    : `it printed nothing, and ended with status ${code}`;
}

function unhealthyCause(facts: UnhealthyFacts): Cause {
  const { found, isStart, isPathAtFault } = facts;
  if (isPathAtFault) return { code: 'health-path-fails', evidence: found };
  if (!isStart) return { code: 'unhealthy', evidence: found };
  return listeningCause(facts) ?? { code: 'start-too-slow', evidence: found };
}

/** What the app listens on instead of its port, in words; null when nothing can be said. */
export function listeningCause({
  listening,
  port,
  loopbackCounts,
}: Pick<UnhealthyFacts, 'listening' | 'port' | 'loopbackCounts'>): Cause | null {
  if (listening.length === 0)
    return {
      code: 'start-too-slow',
      evidence: 'the app listens on no port: it has to listen on the one in PORT',
    };
  const onPort = listening.filter(socket => socket.port === port);
  if (onPort.length === 0) {
    const ports = [...new Set(listening.map(socket => socket.port))].sort((a, b) => a - b);
    return {
      code: 'wrong-port',
      evidence: `the app listens on port ${ports.join(', ')} instead of ${port}: it has to take the one in PORT`,
    };
  }
  if (!loopbackCounts && onPort.every(({ loopbackOnly }) => loopbackOnly))
    return {
      code: 'loopback-only',
      evidence: `the app listens on 127.0.0.1:${port} only: it has to listen on 0.0.0.0`,
    };
  return null;
}
