/**
 * What turns pushed files into something that runs. A buildpack says whether an app is its own (`detect`), changes the app's folder (`compile`), and names
 * its process types (`release`), as Cloud Foundry's do. All of it runs inside the sandbox of one build, as an unprivileged user: what it reads is other
 * people's, and what it says is checked again outside.
 *
 * Only the toolchains that it asks for are made outside, by the stager, the same for every app (docs/decisions/0002).
 */
/** Of all of them; shown by `cf app` behind the buildpack's name. */
export const BUILDPACK_VERSION = '0.1.0';

export interface Buildpack {
  /** One of the platform's, or the name or address by which somebody's own was asked for. */
  readonly name: string;
  /** As CF's buildpack calls itself: shown in the log and as `buildpack_name`. */
  readonly title: string;
  /** Shown behind its name; null: it does not say. Absent: the platform's own. */
  readonly version?: string | null;
  /** The words that `cf app` shows when this folder is one for it; null when it is not. Changes nothing. */
  detect(app: string): Promise<string | null>;
  /** What it does where another one comes after it. Absent: the same as `compile`. @throws StagingFailedError */
  supply?(stage: Stage): Promise<void>;
  /** As the last one, or the only one. @throws StagingFailedError when the app is at fault: what happened, and how to mend it. */
  compile(stage: Stage): Promise<void>;
  /** The command of each process type, as far as it knows any. Called after `compile`. */
  release(stage: Stage): Promise<Record<string, string>>;
}

export type ToolchainName = 'node' | 'npm' | 'pnpm' | 'yarn';

/** A toolchain of any version in `range` (semver); null leaves the choice to the stager: what is there already. */
export interface ToolchainAsk {
  name: ToolchainName;
  range: string | null;
  /** Of the Node.js that runs it: a package manager that this one cannot run is not chosen. Null for `node` itself. */
  nodeVersion: string | null;
}

export interface Toolchain {
  name: ToolchainName;
  version: string;
  /** Inside this sandbox and inside every instance: `/toolchains/node-24.21.0`; its programs lie in `bin` below. */
  path: string;
}

/** The surroundings of one compile. Paths are those inside the sandbox. */
export interface Stage {
  /** The app's files: `/home/vcap/app`. */
  app: string;
  /** A folder of the buildpack's own, part of the droplet: `/home/vcap/deps/0`. It exists. */
  deps: string;
  /** Scripts sourced before each start: `/home/vcap/profile.d`. It exists. */
  profileD: string;
  /** Kept from one build of the app to the next, never part of the droplet. It exists. */
  cache: string;
  /** Of build commands: PATH with the programs of the buildpacks before, HOME, the app's own variables. `run` adds to it what it is given. */
  environment: Readonly<Record<string, string>>;
  /** Programs that the buildpacks after this one may call: a folder that PATH begins with then. */
  offerPrograms(folder: string): void;
  /** One line of the staging log. */
  say(line: string): void;
  /** @throws StagingFailedError when there is none in that range. */
  toolchain(ask: ToolchainAsk): Promise<Toolchain>;
  /** Runs a program in the app's folder, its output going live into the staging log. @throws CommandFailedError when it does not end with 0. */
  run(argv: readonly string[], environment?: Readonly<Record<string, string>>): Promise<void>;
  /** The same, for what it prints on its output: that is returned, and only its errors go into the log. */
  read(argv: readonly string[], environment?: Readonly<Record<string, string>>): Promise<string>;
}

/** A program of the build failed. */
export class CommandFailedError extends Error {
  override readonly name = 'CommandFailedError';
  readonly argv: readonly string[];
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly signal: string | null;
  /** The end of what it printed, at most some 20 KB. */
  readonly output: string;
  constructor(argv: readonly string[], ended: { code: number | null; signal: string | null; output: string }) {
    super(
      `${argv.join(' ')} ended ${ended.signal === null ? `with exit status ${ended.code}` : `by signal ${ended.signal}`}`,
    );
    this.argv = argv;
    this.code = ended.code;
    this.signal = ended.signal;
    this.output = ended.output;
  }
  /** It, or what it had started, was ended by SIGKILL: shells and npm hand that on as 128 + 9. */
  get wasKilled(): boolean {
    return this.signal === 'SIGKILL' || this.code === 137;
  }
}
