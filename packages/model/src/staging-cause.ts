/**
 * Why staging failed, from the title that Cloud Foundry has for it, our sentence, and the end of the build's output. Pure: the stager asks it once the build
 * has ended, and the CLI asks it again where another platform gave no code.
 */
import { type Cause, type CauseCode, evidenceOf } from './causes.ts';

export interface StagingFacts {
  /** CF's, without `CF-`: `NoAppDetectedError`, `BuildpackCompileFailed`. */
  readonly title: string;
  readonly error: string;
  /** The end of the build's output, oldest first. */
  readonly lines: readonly string[];
}

const TITLES: Readonly<Record<string, CauseCode>> = {
  NoAppDetectedError: 'no-buildpack-fits',
  StagingTimeExpired: 'build-too-slow',
  AppBitsUploadInvalid: 'upload-refused',
  InsufficientResources: 'no-room',
  NoCompatibleCell: 'no-room',
};

/** What stands in our sentence or in the output -> cause. The first that fits counts: the more special ones come first. */
const PATTERNS: ReadonlyArray<readonly [CauseCode, RegExp]> = [
  ['unknown-buildpack', /^Buildpack ".*" is not installed here|^None of the buildpacks detected/],
  ['build-too-slow', /^Staging took longer than/],
  ['procfile-unreadable', /^Failed to read command from Procfile/],
  ['build-out-of-memory', /ran out of memory|heap out of memory|\bOOM\b|Cannot allocate memory|signal: killed/],
  ['build-disk-full', /The disk of the build is full|\bENOSPC\b|no space left on device|disk quota exceeded/i],
  [
    'lockfile-disagrees',
    /can only install (?:packages )?(?:when|with) .*package-lock|code EUSAGE|ERR_PNPM_OUTDATED_LOCKFILE|ERR_PNPM_LOCKFILE|Your lockfile needs to be updated|YN0028|lockfile do not agree|The lock file is not up to date|out of sync with (?:the )?(?:Gemfile|Pipfile)|missing go\.sum entry|go: updates to go\.(?:mod|sum) needed|Pipfile\.lock .* out of date/i,
  ],
  [
    'dependencies-conflict',
    /\bERESOLVE\b|ERR_PNPM_PEER_DEP|ResolutionImpossible|conflicting dependencies|could not find compatible versions|Your requirements could not be resolved/i,
  ],
  [
    'engine-version',
    /which is no version or range|^There is no (?:node|npm|pnpm|yarn|python|ruby|go|java|php)\b.* in the registry|EBADENGINE|Unsupported engine|Requires-Python|Your Ruby version is|requires go >= |go\.mod requires go|requires php .* your php version|release version \d+ not supported|(?:Python|Java|Ruby|PHP|Go)\b.* is not (?:there|available|installed|on this machine)/i,
  ],
  [
    'registry-login',
    /\bE40[13]\b|\bENEEDAUTH\b|ERR_PNPM_FETCH_40[13]|401 Unauthorized|403 Forbidden|Authentication (?:failed|is required)/i,
  ],
  [
    'dependency-not-found',
    /\bE404\b|ERR_PNPM_FETCH_404|No matching version|\bETARGET\b|Couldn't find (?:any versions|package)|Package not found|No matching distribution found|Could not find a version that satisfies|not found in the package registry|Could not find gem|Could not find artifact|Could not resolve dependencies|Could not find \S+:\S+|no required module provides|unknown revision|repository .* not found|is not in std|could not be found in any version|Cannot find module|MODULE_NOT_FOUND|ModuleNotFoundError/i,
  ],
  [
    'native-module',
    /node-gyp|gyp ERR!|Failed building wheel|error: command '.*(?:gcc|g\+\+|cc)' failed|Failed to build gem native extension|mkmf\.rb can't find|gcc: not found/i,
  ],
  [
    'registry-unreachable',
    /\bENOTFOUND\b|\bEAI_AGAIN\b|\bECONNREFUSED\b|\bETIMEDOUT\b|\bECONNRESET\b|\bENETUNREACH\b|UNABLE_TO_GET_ISSUER|SELF_SIGNED|registry could not be (?:asked|reached)|Temporary failure in name resolution|Name or service not known|php_network_getaddresses|Unknown ?Host|could not be fetched from the build|Network is unreachable|Could not resolve host|dial tcp|Could not fetch specs|SSLError/i,
  ],
];

/** Package managers warn of much that does no harm; and our own last line repeats the sentence. */
const NO_CAUSE = /^\*\*ERROR\*\* |^(?:npm|pnpm|yarn)? *(?:warn|WARN|WARNING)\b|^\s*WARNING/;

export function stagingCause({ title, error, lines: output }: StagingFacts): Cause {
  const lines = output.filter(line => !NO_CAUSE.test(line));
  for (const [code, pattern] of PATTERNS) {
    // The newest line that fits: a build may try something, fail, and go on.
    const line = lines.findLast(one => pattern.test(one));
    if (line !== undefined) return { code, evidence: evidenceOf(line) };
    if (pattern.test(error)) return { code, evidence: evidenceOf(error) };
  }
  const code = TITLES[title] ?? 'build-failed';
  return { code, evidence: code === 'build-failed' ? (lastWords(lines) ?? evidenceOf(error)) : evidenceOf(error) };
}

/** The newest line that speaks of an error, else the newest there is. */
function lastWords(lines: readonly string[]): string | null {
  const told = lines.findLast(line => /\berror\b|\bfailed\b|exception/i.test(line));
  return evidenceOf(told ?? lines.findLast(line => line.trim() !== ''));
}
