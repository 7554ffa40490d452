/** What Go's output means, and what to do about it. */
import type { Hint } from '../explain.ts';

export const GO_HINTS: readonly Hint[] = [
  [
    /^(\S+): \S*\/compile: signal: killed/m,
    'the compiler of $1 was killed, most likely since the build ran out of memory',
  ],
  [
    /inconsistent vendoring/,
    'go.mod and the folder vendor do not agree: run "go mod vendor" where you develop, and push what it writes',
  ],
  [
    /missing go\.sum entry|updates to go\.(?:mod|sum) needed|go: updating go\.mod/,
    'go.mod and go.sum do not agree: run "go mod tidy" where you develop, and push what it writes',
  ],
  [
    /(?:no required module provides|cannot find module providing) package ([^\s;:]+)/,
    'go.mod does not name the module of $1: run "go mod tidy" where you develop, and push what it writes',
  ],
  [
    /(?:module requires|requires) Go (?:>= )?([\d.]+)|go\.mod requires go >= ([\d.]+)/i,
    'the app wants a newer Go ($1) than this machine has: lower "go" in go.mod, or install that Go in /usr/local/go',
  ],
  [/checksum mismatch|SECURITY ERROR/, 'a module is not the one whose hash stands in go.sum'],
  [
    /unknown revision|404 Not Found|410 Gone|not found: module|could not read Username/,
    'a module, or that version of it, is not to be had: mend go.mod, or push with "go mod vendor"',
  ],
  [
    /gcc.*executable file not found|C compiler .* not found/,
    'a package uses cgo, and there is no C compiler on this machine. As root: apt-get install build-essential',
  ],
  [
    /dial tcp|i\/o timeout|TLS handshake timeout/,
    'the module proxy could not be reached from the build: check this machine\'s network and GOPROXY, or push with "go mod vendor"',
  ],
  [/^\S+\.go:\d+:\d+: (.{1,120})/m, 'it does not compile: $1'],
];
