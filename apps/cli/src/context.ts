/** What a command works with: the remembered settings, a client that is logged in, a place to write. Made once in `main.ts`. */
import { type CloudClient, createCloudClient } from '@cupola/client/cloud-client';
import { createTransport, type Transport } from '@cupola/client/transport';
import { type ReadApp, readApp } from '@cupola/contract/v3/client-reads';
import { EXIT } from '@cupola/push/exit-codes';
import { WordedError } from '@cupola/push/failures';
import type { CliConfig, ConfigFile } from './config.ts';
import { nearApp } from './find.ts';
import { fittedTable } from './fit.ts';
import { ownPlatform } from './own-platform.ts';

export interface Named {
  readonly guid: string;
  readonly name: string;
}

export interface CliContext extends AsyncDisposable {
  readonly config: ConfigFile;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Print one JSON object and nothing else on stdout. */
  readonly json: boolean;
  readonly isTerminal: boolean;
  /** A line for the user; silent with `--json`. */
  say(text?: string): void;
  /** A line beside the result, on stderr. */
  note(text: string): void;
  /** The result of the command: printed as JSON with `--json`, else `text` is. */
  result(value: unknown, text: string): void;
  /** Rows as a table that fits this terminal. */
  table(rows: readonly (readonly string[])[]): string;
  transport(skipSslValidation?: boolean): Transport;
  /** Throws when nobody is logged in. */
  client(): CloudClient;
  /** Throws when no space is targeted. */
  target(): { organization: Named; space: Named };
}

interface Options {
  config: ConfigFile;
  environment: Readonly<Record<string, string | undefined>>;
  json: boolean;
  version: string;
}

export function createContext({ config, environment, json, version }: Options): CliContext {
  const transports: Transport[] = [];
  let client: CloudClient | null = null;
  const transport = (skipSslValidation = config.read().skipSslValidation): Transport => {
    const made = createTransport({
      userAgent: `cupola/${version} (node${process.versions.node}; ${process.arch} ${process.platform})`,
      skipSslValidation,
      waits: ({ origin, ms }) =>
        console.error(`${origin} is busy or being restarted (503): waiting ${Math.ceil(ms / 1_000)} s, as it asks.`),
      proxyFromEnvironment: ['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy'].some(name => environment[name]),
    });
    transports.push(made);
    return made;
  };
  return {
    config,
    environment,
    json,
    isTerminal: process.stdin.isTTY === true && process.stdout.isTTY === true,
    say: (text = '') => {
      if (!json) console.log(text);
    },
    note: text => console.error(text),
    result: (value, text) => console.log(json ? JSON.stringify(value) : text),
    table: rows => fittedTable(rows, process.stdout.isTTY ? process.stdout.columns : null),
    transport,
    client: () => {
      client ??= createCloudClient({
        transport: transport(),
        endpoints: loggedIn(config.read()),
        tokens: config.tokens,
        now: Date.now,
      });
      return client;
    },
    target: () => {
      const { organization, space } = config.read();
      loggedIn(config.read());
      if (organization === null || space === null)
        throw new WordedError('No space is targeted.', {
          exitCode: EXIT.login,
          next: 'Choose one: cupola target -o ORG -s SPACE (lists: cupola orgs, cupola spaces)',
        });
      return { organization, space };
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(transports.map(made => made[Symbol.asyncDispose]()));
    },
  };
}

function loggedIn({ endpoints, tokens }: CliConfig): NonNullable<CliConfig['endpoints']> {
  if (endpoints === null || tokens === null)
    throw new WordedError('Nobody is logged in.', {
      exitCode: EXIT.login,
      next: howToLogIn(),
    });
  return endpoints;
}

/** One line to copy where this user's own platform is on this machine. */
function howToLogIn(): string {
  const own = ownPlatform();
  if (own === null) return 'Log in: cupola login -a URL -u NAME';
  return `Log in: cupola login -a ${own.api} -u admin --password-stdin <${own.passwordFile}`;
}

/** The app of that name in the targeted space. */
export async function findApp(context: CliContext, name: string): Promise<ReadApp> {
  const { space } = context.target();
  const app = await context.client().first(readApp, '/v3/apps', { names: name, space_guids: space.guid });
  if (app === null)
    throw new WordedError(`App "${name}" was not found in space ${space.name}.`, {
      next: (await nearApp(context, name)) ?? 'See which there are: cupola apps. Another space: cupola target -s SPACE',
    });
  return app;
}
