/**
 * The one table of what can go wrong with a push or a start: what it is called, what to change, and the one command that comes next. The API puts it into
 * events, the CLI prints it, the dashboard will link to it. Each code has a page in docs/errors; a test holds both to each other.
 */
import { CAUSE_CODES, type Cause, type CauseCode, readCode, withCode } from '@cupola/model/causes';
import { INSTANCE_LIMITS, STAGING_LIMITS } from '@cupola/model/limits';
import { z } from 'zod';

/** What the next command may need. */
export interface CauseFacts {
  readonly app: string;
  /** Of each instance now; null when unknown. */
  readonly memoryMb?: number | null;
  readonly diskMb?: number | null;
  /** That the platform proposes. */
  readonly buildpack?: string | undefined;
}

interface Entry {
  /** Completes "APP does not run: ..." and "Staging of APP failed: ...". */
  readonly says: string;
  /** What to change, in one sentence. */
  readonly mend: string;
  /** One command of our CLI; the real cf has the same, but for `doctor`. */
  next(facts: CauseFacts): string;
}

const push = ({ app }: CauseFacts): string => `cupola push ${app}`;
const logs = ({ app }: CauseFacts): string => `cupola logs ${app} --recent`;
const SIZE_STEP = 2;
const LEAST_MB = 256;
/** Twice what was too little. */
const more = (now: number | null | undefined): string =>
  `${Math.max(LEAST_MB, SIZE_STEP * (now ?? LEAST_MB / SIZE_STEP))}M`;

const TABLE: Readonly<Record<CauseCode, Entry>> = {
  'upload-refused': {
    says: 'what was pushed is refused',
    mend: 'Remove or rename the entry it names, or leave it out with a line in .cfignore.',
    next: push,
  },
  'quota-exceeded': {
    says: 'it is over a quota',
    mend: 'Push with less memory or fewer instances, stop what is not needed, or ask for a larger quota.',
    next: () => 'cupola apps',
  },
  'platform-disk-full': {
    says: "the platform's disk is nearly full",
    mend: 'What runs goes on. Delete apps that are not needed, or free space on the machine.',
    next: () => 'cupola doctor',
  },
  'no-buildpack-fits': {
    says: 'no buildpack recognizes these files',
    mend: 'Push the folder that has the package.json, requirements.txt, Staticfile or Procfile in it, or name a buildpack.',
    next: ({ app, buildpack = 'BUILDPACK' }) => `cupola push ${app} -b ${buildpack}`,
  },
  'unknown-buildpack': {
    says: 'there is no buildpack of that name',
    mend: 'Choose one of those installed, or leave it out to have it detected.',
    next: () => 'cupola buildpacks',
  },
  'dependency-not-found': {
    says: 'a dependency was not found',
    mend: 'Check its name and version, and that it stands among the dependencies that are installed for production.',
    next: push,
  },
  'dependencies-conflict': {
    says: 'the versions that it asks for exclude each other',
    mend: 'Install where you develop until that works, and push the lockfile.',
    next: push,
  },
  'lockfile-disagrees': {
    says: 'the lockfile is not of these dependencies',
    mend: 'Install where you develop, and push the lockfile that is written.',
    next: push,
  },
  'engine-version': {
    says: 'the version of the language that it asks for is not to be had',
    mend: 'Ask for a version that there is, or for a range; or install it, as the message says.',
    next: push,
  },
  'native-module': {
    says: 'a native module could not be compiled',
    mend: 'Install a compiler on this machine (build-essential, python3), or use a version of the module that comes compiled.',
    next: push,
  },
  'registry-login': {
    says: 'the package registry wants a login',
    mend: 'Put a token into a variable of the app, and name that variable in its registry settings.',
    next: ({ app }) => `cupola set-env ${app} NAME TOKEN`,
  },
  'image-not-found': {
    says: 'there is no such image in its registry',
    mend: 'Check the name and the tag of the image.',
    next: ({ app }) => `cupola push ${app} --docker-image IMAGE:TAG`,
  },
  'image-login': {
    says: "the image's registry wants a login, or refuses the one it was given",
    mend: 'Push with the name of a user who may read it, and the password in CF_DOCKER_PASSWORD.',
    next: ({ app }) => `cupola push ${app} --docker-image IMAGE --docker-username NAME`,
  },
  'image-registry-unreachable': {
    says: "the image's registry could not be reached",
    mend: 'Push again when it answers; what runs already does not need it.',
    next: push,
  },
  'image-registry-refused': {
    says: "the image's registry is not one that this platform may ask",
    mend: 'Use a registry at a public address with HTTPS, or let the operator list this one (CUPOLA_REGISTRIES).',
    next: ({ app }) => `cupola push ${app} --docker-image IMAGE:TAG`,
  },
  'image-unfit': {
    says: 'that image does not run on this platform',
    mend: 'Push one for Linux on this kind of machine, in the format of Docker or OCI.',
    next: ({ app }) => `cupola push ${app} --docker-image IMAGE:TAG`,
  },
  'registry-unreachable': {
    says: 'the package registry could not be reached',
    mend: "Check this machine's network and proxy, or push with the dependencies inside (vendored).",
    next: push,
  },
  'procfile-unreadable': {
    says: 'its Procfile cannot be read',
    mend: 'Write one line for each process type, such as "web: node server.js".',
    next: push,
  },
  'build-out-of-memory': {
    says: 'the build ran out of memory',
    mend: `A build has as much as its app, and ${STAGING_LIMITS.memoryMb} MB at least: push with more, or push what is built already.`,
    next: ({ app, memoryMb }) =>
      `cupola push ${app} -m ${SIZE_STEP * Math.max(memoryMb ?? 0, STAGING_LIMITS.memoryMb)}M`,
  },
  'build-disk-full': {
    says: 'the disk of the build is full',
    mend: `A build has ${STAGING_LIMITS.diskMb} MB: push less (.cfignore), or ask the operator for more.`,
    next: push,
  },
  'build-too-slow': {
    says: 'staging took too long',
    mend: 'Build less in it, or push what is built already.',
    next: push,
  },
  'build-failed': {
    says: 'the build failed',
    mend: 'Run the same command where you develop; its own words are in the log.',
    next: logs,
  },
  'no-start-command': {
    says: 'it has no start command',
    mend: 'Name one with -c, as "command:" in the manifest, or as "web:" in a Procfile.',
    next: ({ app }) => `cupola push ${app} -c "COMMAND"`,
  },
  'command-not-found': {
    says: 'its start command cannot be run',
    mend: 'Check the program: that it is among the files, may be executed, and is spelled as it is. What only development dependencies bring is not there.',
    next: ({ app }) => `cupola push ${app} -c "COMMAND"`,
  },
  'exits-at-once': {
    says: 'it ends right after its start',
    mend: 'A process has to keep running. What does its work and ends is a task.',
    next: logs,
  },
  crash: {
    says: 'it crashes with an error',
    mend: 'Mend the error that its trace names.',
    next: logs,
  },
  ended: {
    says: 'it ended after it had been running',
    mend: 'Look at what it printed last.',
    next: logs,
  },
  'out-of-memory': {
    says: 'it needs more memory than it has',
    mend: 'Give it more, or have it use less.',
    next: ({ app, memoryMb }) => `cupola scale ${app} -m ${more(memoryMb)}`,
  },
  'disk-quota': {
    says: 'its disk is full',
    mend: 'Give it more, or have it write less: what it writes is lost at each restart anyway.',
    next: ({ app, diskMb }) => `cupola scale ${app} -k ${more(diskMb)}`,
  },
  'wrong-port': {
    says: 'it listens on the wrong port',
    mend: 'Take the port from the variable PORT.',
    next: push,
  },
  'loopback-only': {
    says: 'it listens on localhost only',
    mend: 'Listen on 0.0.0.0: requests come from outside of its network.',
    next: push,
  },
  'port-in-use': {
    says: 'the port that it wants is taken',
    mend: 'Listen once, on the port in the variable PORT.',
    next: push,
  },
  'service-login': {
    says: 'a service that it uses refuses its login',
    mend: 'Give the app the user and password of that service as they are now.',
    next: ({ app }) => `cupola env ${app}`,
  },
  'start-too-slow': {
    says: 'it did not listen on its port in time',
    mend: 'If it needs longer, give it up to 180 s; if it serves no requests, push it with -u process.',
    next: ({ app }) => `cupola push ${app} -t 180`,
  },
  'health-path-fails': {
    says: 'its health check path does not answer with 200',
    mend: 'Name a path that does, and that needs no login and redirects nowhere.',
    next: ({ app }) => `cupola push ${app} -u http --endpoint PATH`,
  },
  unhealthy: {
    says: 'it stopped answering its health check',
    mend: 'Look at what it printed before: something blocks it, or it closed its port.',
    next: logs,
  },
  'no-room': {
    says: 'no memory, disk or place is left for it on this machine',
    mend: 'Give it less, or stop or scale down another app.',
    next: () => 'cupola apps',
  },
  'not-startable': {
    says: 'it could not be started, and none of its code ran',
    mend: 'This is the platform, not the app: it is tried again by itself.',
    next: () => 'cupola doctor',
  },
  'instance-lost': {
    says: 'its instance was lost, and nobody saw why',
    mend: 'It is started again by itself; if it happens again, the machine may be short of memory.',
    next: () => 'cupola doctor',
  },
  'files-not-kept': {
    says: 'it writes files that are lost at its next restart',
    mend: 'Keep what has to last in a database or an object store, given to it as a service.',
    next: ({ app }) => `cupola bind-service ${app} SERVICE`,
  },
};

export interface Explanation {
  readonly code: CauseCode;
  readonly says: string;
  readonly evidence: string | null;
  readonly mend: string;
  readonly next: string;
  /** Of this repository. */
  readonly page: string;
}

export function explainCause({ code, evidence }: Cause, facts: CauseFacts): Explanation {
  const { says, mend, next } = TABLE[code];
  return { code, says, evidence, mend, next: next(facts), page: pageOf(code) };
}

export function pageOf(code: CauseCode): string {
  return `docs/errors/${code}.md`;
}

/** Titles of the API's refusals that are a cause of their own, without `CF-`. */
const REFUSALS: Readonly<Record<string, CauseCode>> = {
  AppBitsUploadInvalid: 'upload-refused',
  AppPackageInvalid: 'upload-refused',
  InsufficientStorage: 'platform-disk-full',
  AppMemoryQuotaExceeded: 'quota-exceeded',
  QuotaInstanceMemoryLimitExceeded: 'quota-exceeded',
  QuotaInstanceLimitExceeded: 'quota-exceeded',
};

/** Null: the refusal's own sentence says it all. */
export function causeOfRefusal(title: string, detail: string): CauseCode | null {
  const known = REFUSALS[title.replace(/^CF-/, '')];
  if (known !== undefined) return known;
  if (/must be an existing admin buildpack/.test(detail)) return 'unknown-buildpack';
  const isQuota = /quota/i.test(detail) && /exceed|\bover\b|allows| left /i.test(detail);
  return isQuota ? 'quota-exceeded' : readCode(detail).code;
}

/** As it travels in reports and events. */
export const causeReport = z.object({
  code: z.enum(CAUSE_CODES),
  evidence: z.string().nullable(),
});

interface ExitText {
  readonly reason: string;
  readonly cause?: Cause;
}

/** What `cf events` and `cf app` show of an end: the reason in CF's words, what shows the cause, and its code. */
export function describeExit({ reason, cause }: ExitText): string {
  if (cause === undefined) return reason.slice(0, INSTANCE_LIMITS.crashReasonMaxChars);
  const { code, evidence } = cause;
  const text = evidence === null || reason.includes(evidence) ? reason : `${reason}: ${evidence}`;
  return withCode(text, code, INSTANCE_LIMITS.crashReasonMaxChars);
}
