/**
 * Why a push or a start failed, as one word for each cause. The word is what people search for and programs compare; what it means, what mends it and which
 * command comes next stand in `@cupola/contract/causes`, longer in docs/errors. It travels inside Cloud Foundry's own texts as `... [wrong-port]`, so that
 * the real cf, which prints those texts as they are, shows it too.
 */

export const CAUSE_CODES = [
  // Before staging.
  'upload-refused',
  'quota-exceeded',
  'platform-disk-full',
  // Staging.
  'no-buildpack-fits',
  'unknown-buildpack',
  'dependency-not-found',
  'dependencies-conflict',
  'lockfile-disagrees',
  'engine-version',
  'native-module',
  'registry-login',
  'registry-unreachable',
  'image-not-found',
  'image-login',
  'image-registry-unreachable',
  'image-registry-refused',
  'image-unfit',
  'procfile-unreadable',
  'build-out-of-memory',
  'build-disk-full',
  'build-too-slow',
  'build-failed',
  // Start.
  'no-start-command',
  'command-not-found',
  'exits-at-once',
  'crash',
  'ended',
  'out-of-memory',
  'disk-quota',
  'wrong-port',
  'loopback-only',
  'port-in-use',
  'service-login',
  'start-too-slow',
  'health-path-fails',
  'unhealthy',
  'no-room',
  'not-startable',
  'instance-lost',
  // Nothing failed, but something will.
  'files-not-kept',
] as const;
export type CauseCode = (typeof CAUSE_CODES)[number];

export interface Cause {
  readonly code: CauseCode;
  /** What shows it, in one line: of the app's own output, or a fact about it. Null when nothing more is known. */
  readonly evidence: string | null;
}

const MARK = /\s*\[([a-z-]+)\]\s*$/;
/** Of a line of somebody's output: enough to recognize it (ours). */
const EVIDENCE_MAX_CHARS = 300;

function isCauseCode(text: string): text is CauseCode {
  return (CAUSE_CODES as readonly string[]).includes(text);
}

/** `text [code]`; never longer than `maxChars`, and never without the code. */
export function withCode(text: string, code: CauseCode, maxChars = Number.POSITIVE_INFINITY): string {
  const mark = ` [${code}]`;
  return `${text.slice(0, Math.max(0, maxChars - mark.length))}${mark}`;
}

/** The text without its mark, and the mark's code: null where there is none, or one that we do not know. */
export function readCode(text: string): { text: string; code: CauseCode | null } {
  const code = MARK.exec(text)?.[1];
  return code !== undefined && isCauseCode(code) ? { text: text.replace(MARK, ''), code } : { text, code: null };
}

/** One line of output as evidence: trimmed, bounded; null when it says nothing. */
export function evidenceOf(line: string | undefined): string | null {
  const text = line?.trim() ?? '';
  return text === '' ? null : text.slice(0, EVIDENCE_MAX_CHARS);
}
