/** Pure: what the last of some words may become, by the declarations of the commands. */
import type { Argument, Command, Option } from 'commander';

export const NAME_KINDS = ['app', 'service', 'organization', 'space', 'domain'] as const;
/** What the platform has names of. */
export type NameKind = (typeof NAME_KINDS)[number];

export interface Completion {
  /** Commands or options. */
  readonly words: readonly string[];
  /** Names of that kind instead; null: none. */
  readonly kind: NameKind | null;
  /** What is there of the last word. */
  readonly prefix: string;
}

/** By the name of an argument or of an option. What is neither is a file, or known to nobody: the shell's own completion goes on. */
const KINDS: Readonly<Record<string, NameKind>> = {
  app: 'app',
  source: 'app',
  destination: 'app',
  service: 'service',
  organization: 'organization',
  space: 'space',
  domain: 'domain',
};
const VALUES: Readonly<Record<string, readonly string[]>> = {
  shell: ['bash', 'zsh', 'fish'],
  strategy: ['rolling', 'canary'],
  'health-check-type': ['port', 'http', 'process'],
  'on-failure': ['refuse', 'report'],
  submodules: ['refuse', 'skip'],
  lifecycle: ['running', 'staging'],
  sort: ['cpu', 'memory', 'requests'],
  protocol: ['tcp', 'udp'],
  role: ['OrgUser', 'OrgManager', 'OrgAuditor', 'SpaceDeveloper', 'SpaceManager', 'SpaceAuditor', 'SpaceSupporter'],
};

/** `typed`: the words behind `cupola`, the last one as far as it is written. `more`: commands that are declared elsewhere. */
export function completionOf(program: Command, typed: readonly string[], more: readonly string[]): Completion {
  const before = typed.slice(0, -1);
  const prefix = typed.at(-1) ?? '';
  let command = program;
  let given = 0;
  let waiting: Option | null = null;
  let isOnlyArguments = false;
  for (const word of before) {
    if (waiting !== null) waiting = null;
    else if (word === '--') isOnlyArguments = true;
    else if (word.startsWith('-') && !isOnlyArguments) waiting = withValue(optionOf(command, word), word);
    else {
      const next = given === 0 ? subcommand(command, word) : undefined;
      if (next === undefined) given++;
      else command = next;
    }
  }
  const none = { words: [], kind: null, prefix };
  if (waiting !== null) return { ...none, ...byName(waiting.long?.slice(2) ?? '') };
  if (prefix.startsWith('-') && !isOnlyArguments) return { ...none, words: optionsOf(command) };
  if (command.commands.length > 0 && given === 0)
    return { ...none, words: [...commandsOf(command), ...(command === program ? more : [])].toSorted() };
  const argument = argumentAt(command, given);
  return argument === undefined ? none : { ...none, ...byName(argument.name()) };
}

function byName(name: string): Partial<Completion> {
  const kind = KINDS[name];
  return kind === undefined ? { words: VALUES[name] ?? [] } : { kind };
}

function subcommand(command: Command, word: string): Command | undefined {
  return command.commands.find(one => one.name() === word || one.aliases().includes(word));
}

/** Hidden ones have no description. */
function commandsOf(command: Command): string[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .map(one => one.name());
}

function optionsOf(command: Command): string[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .flatMap(({ long, short }) => long ?? short ?? []);
}

function optionOf(command: Command, word: string): Option | undefined {
  return command.options.find(({ long, short }) => long === word || short === word);
}

/** `--name=value` has it already. */
function withValue(option: Option | undefined, word: string): Option | null {
  return option !== undefined && (option.required || option.optional) && !word.includes('=') ? option : null;
}

function argumentAt(command: Command, at: number): Argument | undefined {
  const all = command.registeredArguments;
  return all[at] ?? (all.at(-1)?.variadic === true ? all.at(-1) : undefined);
}
