/** How the CLI ends. In a file of its own, since `cupola --help` needs nothing more of what failures are made of. */
export const EXIT = {
  ok: 0,
  /** The platform said no, or staging, start or a wait failed. */
  failed: 1,
  /** The command line, a manifest or a file is wrong: nothing was changed. */
  usage: 2,
  /** Nobody is logged in, or no space is targeted. */
  login: 3,
  /** The API cannot be reached. */
  unreachable: 4,
  /** `curl --fail` and an error status, as in cf. */
  curl: 22,
  interrupted: 130,
} as const;
