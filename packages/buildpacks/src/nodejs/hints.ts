/** What the output of npm, pnpm and yarn means, and what to do about it. */
import type { Hint } from '../explain.ts';

export const NODE_HINTS: readonly Hint[] = [
  [
    /can only install (?:packages )?(?:when|with) .*package-lock|npm (?:error|ERR!) code EUSAGE/s,
    'package.json and its lockfile do not agree: run "npm install" where you develop, and push the lockfile that it writes',
  ],
  [
    /ERR_PNPM_OUTDATED_LOCKFILE|ERR_PNPM_LOCKFILE|Your lockfile needs to be updated|YN0028/,
    'package.json and the lockfile do not agree: install where you develop, and push the lockfile that is written',
  ],
  [
    /ERESOLVE|ERR_PNPM_PEER_DEP/,
    'the versions asked for exclude each other: mend them, or put "legacy-peer-deps=true" into .npmrc',
  ],
  [
    /E40[13]|ENEEDAUTH|ERR_PNPM_FETCH_40[13]/,
    "the registry wants a login: name a variable for its token in the app's .npmrc, and set that variable with cf set-env",
  ],
  [/E404|ERR_PNPM_FETCH_404|No matching version|ETARGET/, 'a package, or that version of it, is not in the registry'],
  [
    /gyp (?:ERR!|error)[\s\S]*(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH)/i,
    'the headers of Node.js could not be fetched for a native module: let the build reach nodejs.org, or take a version of the module that brings itself compiled',
  ],
  [
    /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ECONNRESET|ENETUNREACH|UNABLE_TO_GET_ISSUER|SELF_SIGNED/,
    "the registry could not be reached from the build: check this machine's network and npm's registry and proxy settings, or push with node_modules",
  ],
  [/ENOSPC|no space left on device/i, 'the disk of the build is full'],
  [
    /node-gyp|gyp ERR!/,
    'a native module could not be compiled: it needs python3, make and a C++ compiler on this machine',
  ],
  [/EBADENGINE|Unsupported engine/, 'a package wants another Node.js: set "engines" in package.json'],
  [/Cannot find module|MODULE_NOT_FOUND/, 'a module is missing: it must stand in "dependencies" or "devDependencies"'],
  [
    /command not found|: not found/,
    'a program is missing: the package that brings it must stand in "devDependencies", or in "dependencies" where the start needs it too',
  ],
];
