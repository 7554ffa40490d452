/** The commands of the CLI, declared here and in `declare-more.ts`, loaded only when asked for: `cupola --help` loads none of them. */
import { Command } from 'commander';
import type { DevFlags } from './commands/dev.ts';
import type { DiffFlags } from './commands/diff.ts';
import type { PushOptions } from './commands/push.ts';
import { collect, command, percents, VERSION, wholeNumber, withContext } from './declare.ts';
import { declareMore } from './declare-more.ts';
import { usageText } from './usage-text.ts';

function declareAccount(program: Command): void {
  command(program, 'login', 'log in to a platform and choose where to work')
    .option('-a, --api <url>', 'address of the API')
    .option('-u, --username <name>')
    .option(
      '-p, --password <password>',
      'visible to others on this machine: better CUPOLA_PASSWORD or --password-stdin',
    )
    .option('--password-stdin', 'read the password from stdin')
    .option('-o, --organization <name>')
    .option('-s, --space <name>')
    .option('--skip-ssl-validation', 'trust any certificate of that platform')
    .action(flags =>
      withContext(flags.json === true, async context => (await import('./commands/account.ts')).login(context, flags)),
    );
  command(program, 'logout', 'forget the login').action(flags =>
    withContext(flags.json === true, async context => (await import('./commands/account.ts')).logout(context)),
  );
  command(program, 'target', 'show, or choose, organization and space')
    .option('-o, --organization <name>')
    .option('-s, --space <name>')
    .action(flags =>
      withContext(flags.json === true, async context => (await import('./commands/account.ts')).target(context, flags)),
    );
  command(program, 'orgs', 'list organizations').action(flags =>
    withContext(flags.json === true, async context => (await import('./commands/account.ts')).orgs(context)),
  );
  command(program, 'spaces', 'list the spaces of the targeted organization').action(flags =>
    withContext(flags.json === true, async context => (await import('./commands/account.ts')).spaces(context)),
  );
  command(program, 'create-space <name>', 'make a space')
    .option('-o, --organization <name>')
    .action((name: string, flags) =>
      withContext(flags.json === true, async context =>
        (await import('./commands/account.ts')).createSpace(context, name, flags),
      ),
    );
}

/** What says how an app is, beside or over its manifest. */
function withManifestFlags(made: Command): Command {
  return made
    .option('-f, --manifest <path>', 'manifest, or a folder with one (default: manifest.yml here)')
    .option('--no-manifest', 'use no manifest')
    .option('--var <name=value>', 'value for ((name)) in the manifest', collect)
    .option('--vars-file <path>', 'file with such values', collect)
    .option('-p, --path <folder>', 'folder, or .zip, .jar, .war')
    .option('-o, --docker-image <image>', 'run this image instead of files: HOST/NAME:TAG, or of Docker Hub NAME:TAG')
    .option('--docker-username <name>', "user of the image's registry; the password is in CF_DOCKER_PASSWORD")
    .option('-b, --buildpack <name>', 'buildpack, by name or git URL; "default" detects', collect)
    .option('-m, --memory <size>', 'memory of each instance: 256M, 1G')
    .option('-k, --disk <size>', 'disk of each instance')
    .option('-i, --instances <n>', 'number of instances', wholeNumber)
    .option('-c, --command <command>', 'start command; "null" goes back to the default')
    .option('-u, --health-check-type <type>', 'port, http or process')
    .option('--endpoint <path>', 'path that the http health check asks')
    .option('-t, --start-timeout <seconds>', 'how long a start may take', wholeNumber)
    .option('-s, --stack <name>', 'stack to run on')
    .option('--no-route', 'map no route')
    .option('--random-route', 'map a route with a random host');
}

/** Commander keeps `--no-manifest` and `-f` under one name: false, absent or the path. */
function manifestOf({ manifest, ...rest }: { manifest?: false | string } & Record<string, unknown>) {
  return { ...rest, noManifest: manifest === false, ...(typeof manifest === 'string' ? { manifest } : {}) };
}

function declarePush(program: Command): void {
  withManifestFlags(command(program, 'push [app]', 'push the files of a folder and run them'))
    .option('--no-start', 'upload only')
    .option('--task', 'stage only: for run-task, before the first start or without one; no route')
    .option('--strategy <name>', 'rolling: without a gap; canary: one instance first, then a pause')
    .option('--max-in-flight <n>', 'of a deployment: how many instances start at once', wholeNumber)
    .option('--instance-steps <percents>', 'of a canary deployment: where it pauses, as 20,50,80', percents)
    .option('--result-file <path>', 'write the result there too, as --json prints it')
    .action((name: string | undefined, flags) =>
      withContext(flags.json === true, async context =>
        (await import('./commands/push.ts')).push(context, name, manifestOf(flags) as unknown as PushOptions),
      ),
    );
  withManifestFlags(command(program, 'diff [app]', 'what a push of this folder would change; nothing is changed'))
    .addHelpText(
      'after',
      '\nExit codes: 0 nothing would change; 1 something would; 2 the command line, a manifest or a file is wrong, or the platform said no; 3 and 4 as ever.',
    )
    .action((name: string | undefined, flags) =>
      withContext(flags.json === true, async context =>
        (await import('./commands/diff.ts')).diff(context, name, manifestOf(flags) as unknown as DiffFlags),
      ),
    );
}

function declareDev(program: Command): void {
  command(
    program,
    'dev [app]',
    'an app of your own beside it, for developing: what changes in the folder is put where it runs',
  )
    .option('--name <name>', 'what that app is called (APP-dev)')
    .option('-c, --command <command>', 'start command while developing: "npm run dev"')
    .option('--no-restart', 'the program reloads by itself: files are only put in place')
    .option('--keep', 'leave the app there when you end this')
    .option('--hours <n>', 'how long it lives without a change (24)', wholeNumber)
    .option('-m, --memory <size>', 'its memory: 256M, 1G')
    .option('-b, --buildpack <name>', 'buildpack, by name or git URL; "default" detects', collect)
    .option('-p, --path <folder>', 'folder of the app')
    .option('-f, --manifest <path>', 'manifest, or a folder with one (default: manifest.yml here)')
    .option('--no-manifest', 'use no manifest')
    .option('--var <name=value>', 'value for ((name)) in the manifest', collect)
    .option('--vars-file <path>', 'file with such values', collect)
    .action((name: string | undefined, flags) =>
      withContext(flags.json === true, async context =>
        (await import('./commands/dev.ts')).dev(context, name, manifestOf(flags) as unknown as DevFlags),
      ),
    );
}

function declareApps(program: Command): void {
  command(program, 'apps', 'list the apps of the targeted space').action(flags =>
    withContext(flags.json === true, async context => (await import('./commands/apps.ts')).apps(context)),
  );
  command(program, 'app <app>', 'show one app and its instances')
    .option('--guid', 'print its guid only')
    .action((name: string, flags) =>
      withContext(flags.json === true, async context => (await import('./commands/apps.ts')).app(context, name, flags)),
    );
  command(program, 'open [app]', 'open an app in the browser; prints its address').action(
    (name: string | undefined, flags) =>
      withContext(flags.json === true, async context => (await import('./commands/open.ts')).open(context, name)),
  );
  command(program, 'logs <app>', 'follow the log of an app')
    .option('--recent', 'print what there is and come back')
    .action((name: string, flags) =>
      withContext(flags.json === true, async context =>
        (await import('./commands/apps.ts')).logs(context, name, flags),
      ),
    );
  command(program, 'env <app>', 'show the environment of an app').action((name: string, flags) =>
    withContext(flags.json === true, async context => (await import('./commands/apps.ts')).env(context, name)),
  );
  command(
    program,
    'set-env <app> [name] [value]',
    'set an environment variable, or all of a .env file; takes effect at the next restart',
  )
    .alias('se')
    .option('--file <path>', 'file with NAME=value lines')
    .allowUnknownOption() // A value may begin with a hyphen.
    .action((name: string, key: string | undefined, value: string | undefined, flags) =>
      withContext(flags.json === true, async context =>
        (await import('./commands/apps.ts')).setEnv(context, name, { key, value, file: flags.file }),
      ),
    );
  command(program, 'unset-env <app> <name>', 'remove an environment variable').action(
    (name: string, key: string, flags) =>
      withContext(flags.json === true, async context =>
        (await import('./commands/apps.ts')).unsetEnv(context, name, key),
      ),
  );
  command(program, 'curl <path>', 'ask the API as the user who is logged in')
    .option('-X, --method <method>')
    .option('-d, --data <data>', 'body; @FILE sends a file')
    .option('-H, --header <header>', 'another header', collect)
    .option('-i, --include', "print the answer's headers too")
    .option('--output <file>', 'write to a file')
    .option('--fail', 'exit code 22 when the API answers with an error')
    .action((path: string, flags) =>
      withContext(flags.json === true, async context =>
        (await import('./commands/apps.ts')).curl(context, path, flags),
      ),
    );
}

function declareImages(program: Command): void {
  const image = program.command('image').description('apps as OCI images');
  command(image, 'save <app> <file>', 'write the app as an image that `docker load` takes')
    .option('--name <name:tag>', 'name of the image (default: APP:latest)')
    .action((app: string, file: string, flags) =>
      withContext(flags.json === true, async context =>
        (await import('./commands/image.ts')).saveImage(context, app, { file, ...flags }),
      ),
    );
  declareImagePush(image);
}

function declareImagePush(image: Command): void {
  command(image, 'push <app> <image>', 'push the app as an image into a registry: HOST/NAME:TAG')
    .option(
      '--docker-username <name>',
      'user of the registry (default: as docker login); password in CF_DOCKER_PASSWORD',
    )
    .action((app: string, target: string, flags) =>
      withContext(flags.json === true, async context =>
        (await import('./commands/image.ts')).pushImage(context, app, { target, ...flags }),
      ),
    );
}

function declareLifecycle(program: Command): void {
  for (const [name, description] of [
    ['start', 'start an app'],
    ['stop', 'stop an app'],
    ['restart', 'stop and start an app; requests wait meanwhile'],
  ] as const)
    command(program, `${name} <app>`, description).action((app: string, flags) =>
      withContext(flags.json === true, async context => (await import('./commands/lifecycle.ts'))[name](context, app)),
    );
  command(program, 'scale <app>', 'change the number or the size of instances')
    .option('--process <type>', 'of which process: web, or another of the Procfile (web)')
    .option('-i, --instances <n>', 'number of instances', wholeNumber)
    .option('-m, --memory <size>', 'memory of each instance')
    .option('-k, --disk <size>', 'disk of each instance')
    .action((name: string, flags) =>
      withContext(flags.json === true, async context =>
        (await import('./commands/lifecycle.ts')).scale(context, name, flags),
      ),
    );
  command(program, 'delete <app>', 'delete an app')
    .option('-f, --force', 'do not ask')
    .option('-r, --routes', 'delete its routes too')
    .action((name: string, flags) =>
      withContext(flags.json === true, async context =>
        (await import('./commands/lifecycle.ts')).remove(context, name, flags),
      ),
    );
}

function declareCompletion(program: Command): void {
  command(
    program,
    'completion <shell>',
    'print what bash, zsh or fish needs to complete commands, options and names',
  ).action((shell: string, flags) =>
    withContext(flags.json === true, async context =>
      (await import('./commands/completion.ts')).completion(context, shell),
    ),
  );
  program
    .command('complete [words...]', { hidden: true })
    .description('for shells: what the last of these words may become')
    .option('--refresh', 'ask for names')
    .action((words: string[], flags) =>
      withContext(false, async context => {
        const { complete, refreshNames } = await import('./commands/complete.ts');
        await (flags.refresh === true ? refreshNames(context) : complete(context, program, words));
      }),
    );
}

/** With all commands. What is wrong with a command line is thrown as a CommanderError, after it was said. */
export function createProgram(): Command {
  const program = new Command('cupola')
    .description('Push and run apps on Cupola, or any Cloud Foundry.')
    .version(VERSION)
    // `cupola rollback APP --version 3` is not a question for ours.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(`cupola: ${usageText(text)}`) })
    .showHelpAfterError('Options and examples of a command: cupola COMMAND --help. All commands: cupola --help')
    .addHelpText(
      'after',
      `
Settings: $CUPOLA_HOME or ~/.cupola-cli. Password for login: CUPOLA_PASSWORD. Colours: none with NO_COLOR=1, or into a pipe or file.
Exit codes: 0 done; 1 the platform said no, or staging or start failed; 2 the command line, a manifest or a file is wrong; 3 not logged in, or no
space targeted; 4 the API cannot be reached; 22 curl --fail; 130 interrupted. diff has its own: cupola diff --help.
Examples of a command: cupola COMMAND --help. Names with the tab key: cupola completion --help`,
    );
  declareAccount(program);
  declarePush(program);
  declareDev(program);
  declareApps(program);
  declareLifecycle(program);
  declareImages(program);
  declareMore(program);
  declareCompletion(program);
  return program;
}
