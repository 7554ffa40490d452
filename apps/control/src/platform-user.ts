/** Who the parts run as. Started as root, api, scheduler and router share one uid of their own that owns the state folder; else all parts are the user's. */
import { spawnSync } from 'node:child_process';
import { chownSync, lstatSync, readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { PartCommand } from './part.ts';
import { stacksFolder } from './platform-config.ts';
import { NODE_FLAGS, type Program, type Programs, programFile } from './programs.ts';

interface Request {
  data: string;
  /** Null: the user who started the platform. */
  uid: number | null;
  /** Below the data folder: what the part may write to. */
  folder: string;
  /** Whether it reads added stacks. */
  readsStacks: boolean;
  programs: Programs;
  program: Program;
  args: string[];
  environment: Record<string, string>;
  passFds: number[];
}

/** The command line of a part that runs under a uid of its own. Inside, CUPOLA_STATE is where it finds its folder. */
export function platformCommand(request: Request): PartCommand {
  const { data, uid, folder, readsStacks, programs, program, args, environment, passFds } = request;
  const state = join(data, folder);
  const file = programFile(programs, program);
  if (uid === null || !maySeparate())
    return {
      argv: [process.execPath, ...NODE_FLAGS, join(programs.root, file), ...args],
      cwd: state,
      environment: { ...inheritedEnvironment(), ...environment, CUPOLA_STATE: state },
      passFds,
    };
  const script = join(programs.root, 'apps/control/src/as-platform.sh');
  return {
    argv: [
      'unshare',
      '--mount',
      '--propagation',
      'private',
      '--',
      'sh',
      script,
      String(uid),
      programs.root,
      state,
      dirname(process.execPath),
      '--',
      ...NODE_FLAGS,
      `/mnt/sources/${file}`,
      ...args,
    ],
    environment: {
      PATH: process.env.PATH ?? '',
      LANG: 'C.UTF-8',
      HOME: '/mnt/state',
      ...operatorSettings(),
      ...environment,
      CUPOLA_STATE: '/mnt/state',
      ...(readsStacks ? { CUPOLA_STACKS: '/mnt/stacks', CUPOLA_STACKS_FROM: stacksFolder(data) } : {}),
    },
    passFds,
  };
}

/** What an operator may say to a part by the environment of `up` or `join`. */
const OPERATOR_SETTINGS = [
  'CUPOLA_LOG_LEVEL',
  'CUPOLA_ROUTER_HEALTH_LISTEN',
  'CUPOLA_ROUTER_TRUSTED_HOPS',
  'CUPOLA_ROUTER_HSTS_SECONDS',
] as const;

function operatorSettings(): Record<string, string> {
  return Object.fromEntries(
    OPERATOR_SETTINGS.flatMap(name => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/** Of whoever started us, without the address of Redis, which holds its password: one part is given that. */
export function inheritedEnvironment(): Record<string, string> {
  const { CUPOLA_REDIS_URL: _redis, ...others } = process.env as Record<string, string>;
  return others;
}

let separation: boolean | undefined;
/** Whether root may make a mount namespace and drop its uid here: not so in many containers. Tried once, by doing it. */
function maySeparate(): boolean {
  separation ??=
    spawnSync(
      'unshare',
      ['--mount', '--propagation', 'private', '--', 'setpriv', '--reuid', '64000', '--clear-groups', 'true'],
      { stdio: 'ignore' },
    ).status === 0 && basename(process.execPath) === 'node';
  return separation;
}

/** Gives the state folder, which may come from an older start, to the platform's uid. */
export function giveState(folder: string, uid: number | null): void {
  if (uid === null || !maySeparate()) return;
  const give = (path: string): void => {
    const stat = lstatSync(path);
    if (stat.uid !== uid) chownSync(path, uid, uid);
    // What lies in a folder that is theirs already was made by them: blobs are many, and need no look.
    if (stat.isDirectory() && (stat.uid !== uid || path === folder))
      for (const name of readdirSync(path)) give(join(path, name));
  };
  give(folder);
}
