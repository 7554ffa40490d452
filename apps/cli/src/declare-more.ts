/** The commands of every day beyond push and its kin: routes, releases, tasks, services, people. Declared here, loaded only when asked for. */
import type { Command } from 'commander';
import { command, wholeNumber, withContext } from './declare.ts';

export function declareMore(program: Command): void {
  declareGit(program);
  declareLive(program);
  declareSshKeys(program);
  declareRoutes(program);
  declareReleases(program);
  declareTasks(program);
  declareServices(program);
  declareSecurityGroups(program);
  declareNetworkPolicies(program);
  declarePlaces(program);
  declareUsers(program);
}

function declareGit(program: Command): void {
  const load = () => import('./commands/git.ts');
  command(program, 'git:remote [app]', 'let `git push` deploy an app: adds a remote to the repository of this folder')
    .option('--remote <name>', 'name of the remote', 'cupola')
    .option('--ssh', 'over SSH, with your key: cupola ssh-keys add')
    .action((app: string | undefined, flags) =>
      withContext(flags.json === true, async context => (await load()).gitRemote(context, app, flags)),
    );
  command(program, 'git:config <app>', 'show, or change, what pushes by git do to an app')
    .option('--branch <name>', 'which branch is deployed')
    .option('--on-failure <rule>', 'refuse: a failed build or start refuses the push; report: it is told')
    .option('--submodules <rule>', 'refuse: a tree with submodules is refused; skip: their folders stay empty')
    .option(
      '--previews <rule>',
      'other branches: off: not deployed; on: apps of their own; forks: pull requests of forks too',
    )
    .option('--preview-hours <n>', 'how long a preview lives without a push (72)', wholeNumber)
    .option('--preview-variables <names>', 'variables of the app that previews of its branches are given: A,B')
    .action((app: string, flags) =>
      withContext(flags.json === true, async context => (await load()).gitConfig(context, app, flags)),
    );
  command(program, 'git:previews <app>', 'previews of an app: what its other branches run as')
    .option('--delete <name>', 'delete this one, by its name or its branch')
    .action((app: string, flags) =>
      withContext(flags.json === true, async context => (await load()).gitPreviewsCommand(context, app, flags)),
    );
  command(
    program,
    'git:hook <app>',
    'print a post-receive hook for a git server of your own, which deploys what is pushed there',
  )
    .option('--branch <name>', 'which branch is deployed', 'main')
    .action((app: string, flags) =>
      withContext(flags.json === true, async context =>
        (await import('./commands/git-hook.ts')).gitHook(context, app, flags),
      ),
    );
  command(
    program,
    'git:webhook <app>',
    'show, or set up, which push events of GitHub, GitLab, Gitea or Forgejo deploy an app',
  )
    .option('--repo <url>', 'https or SSH address of the repository; makes a new secret')
    .option('--branch <name>', 'which branch is deployed (that of git:config, else main)')
    .option('--login <user>', 'for a repository that is not public; token in CUPOLA_GIT_TOKEN')
    .option('--token-stdin', 'read the token from stdin')
    .option('--known-hosts <file>', 'over SSH: keys of the host, as ssh-keyscan prints them (that of the first fetch)')
    .option('--remove', 'deploy by push events no more')
    .action((app: string, flags) =>
      withContext(flags.json === true, async context =>
        (await import('./commands/git-webhook.ts')).gitWebhookCommand(context, app, flags),
      ),
    );
  program
    .command('git:credential <action>', { hidden: true })
    .description('for git: the login of this CLI')
    .action((action: string) => withContext(false, async context => (await load()).gitCredential(context, action)));
}

function declareLive(program: Command): void {
  command(program, 'watch [app]', 'what changes in the targeted space, or of one app, as it happens').action(
    (app: string | undefined, flags) =>
      withContext(flags.json === true, async context => (await import('./commands/watch.ts')).watch(context, app)),
  );
  command(program, 'top [app]', 'apps of the targeted space by CPU, memory or requests, live; or instances of one app')
    .option('--sort <by>', 'cpu, memory or requests (cpu); of instances index, cpu or memory (index)')
    .option('--once', 'print the next figures and come back')
    .action((app: string | undefined, flags) =>
      withContext(flags.json === true, async context =>
        app === undefined
          ? (await import('./commands/top.ts')).top(context, flags)
          : (await import('./commands/top-app.ts')).topOfApp(context, app, flags),
      ),
    );
}

function declareSshKeys(program: Command): void {
  const load = () => import('./commands/ssh-keys.ts');
  const group = program.command('ssh-keys').description('public keys by which git push knows you over SSH');
  command(group, 'add [file]', 'add one (~/.ssh/id_ed25519.pub)')
    .option('--name <name>', 'what it is called (the comment in it)')
    .action((file: string | undefined, flags) =>
      withContext(flags.json === true, async context => (await load()).addKey(context, file, flags)),
    );
  command(group, 'list', 'list yours').action(flags =>
    withContext(flags.json === true, async context => (await load()).listKeys(context)),
  );
  command(group, 'remove <name>', 'remove one, by name or fingerprint').action((name: string, flags) =>
    withContext(flags.json === true, async context => (await load()).removeKey(context, name)),
  );
}

function declareRoutes(program: Command): void {
  const load = () => import('./commands/routes.ts');
  command(program, 'domains', 'list the domains that routes may be of').action(flags =>
    withContext(flags.json === true, async context => (await load()).domains(context)),
  );
  command(program, 'routes', 'list the routes of the targeted space')
    .alias('r')
    .action(flags => withContext(flags.json === true, async context => (await load()).routes(context)));
  const named = (usage: string, description: string): Command =>
    command(program, usage, description)
      .option('-n, --hostname <name>', 'host in front of the domain')
      .option('--path <path>', 'path behind it');
  named('create-route <domain>', 'make a route').action((domain: string, flags) =>
    withContext(flags.json === true, async context => (await load()).createRoute(context, domain, flags)),
  );
  named('map-route <app> <domain>', 'lead a route to an app; it is made if need be').action(
    (app: string, domain: string, flags) =>
      withContext(flags.json === true, async context => (await load()).mapRoute(context, app, { domain, ...flags })),
  );
  named('unmap-route <app> <domain>', 'lead a route to an app no more').action((app: string, domain: string, flags) =>
    withContext(flags.json === true, async context => (await load()).unmapRoute(context, app, { domain, ...flags })),
  );
  named('delete-route <domain>', 'delete a route')
    .option('-f, --force', 'do not ask')
    .action((domain: string, flags) =>
      withContext(flags.json === true, async context => (await load()).deleteRoute(context, domain, flags)),
    );
}

function declareReleases(program: Command): void {
  const load = () => import('./commands/releases.ts');
  const apps = () => import('./commands/apps.ts');
  command(program, 'rename <app> <new-name>', 'give an app another name').action((app: string, name: string, flags) =>
    withContext(flags.json === true, async context => (await apps()).rename(context, app, name)),
  );
  command(program, 'restage <app>', 'build the files that are there anew, and run the result')
    .alias('rg')
    .option(
      '--strategy <name>',
      'rolling: the old version serves until the new one is healthy; canary: one instance first, then a pause',
    )
    .action((app: string, flags) =>
      withContext(flags.json === true, async context => (await load()).restage(context, app, flags)),
    );
  command(program, 'revisions <app>', 'list what an app has run').action((app: string, flags) =>
    withContext(flags.json === true, async context => (await load()).revisions(context, app)),
  );
  command(program, 'rollback <app>', 'run an older revision again, without a dropped request')
    .option('--version <n>', 'which one (default: the one before)', wholeNumber)
    .option('-f, --force', 'do not ask')
    .action((app: string, flags) =>
      withContext(flags.json === true, async context => (await load()).rollback(context, app, flags)),
    );
  const deployments = () => import('./commands/deployments.ts');
  command(program, 'continue-deployment <app>', 'let a deployment that has paused after a canary go on').action(
    (app: string, flags) =>
      withContext(flags.json === true, async context => (await deployments()).continueDeployment(context, app)),
  );
  command(program, 'cancel-deployment <app>', 'go back to the version that served before').action(
    (app: string, flags) =>
      withContext(flags.json === true, async context => (await deployments()).cancelDeployment(context, app)),
  );
  command(program, 'events <app>', 'what happened to an app, newest first').action((app: string, flags) =>
    withContext(flags.json === true, async context => (await load()).events(context, app)),
  );
  command(program, 'doctor <app>', 'say what is wrong with an app, and what to do next').action((app: string, flags) =>
    withContext(flags.json === true, async context => (await import('./commands/doctor.ts')).doctor(context, app)),
  );
  command(program, 'buildpacks', 'list the buildpacks, in the order of detection').action(flags =>
    withContext(flags.json === true, async context => (await apps()).buildpacks(context)),
  );
}

function declareTasks(program: Command): void {
  const load = () => import('./commands/tasks.ts');
  command(program, 'run-task <app> [command]', 'run a command once, beside the app, with its files and environment')
    .alias('rt')
    .option('-c, --command <command>', 'the command')
    .option('--name <name>', 'name of the task')
    .option('-m, --memory <size>', 'memory: 256M, 1G')
    .option('-k, --disk <size>', 'disk')
    .option('-w, --wait', 'come back when it has ended; exit code 1 when it failed')
    .action((app: string, given: string | undefined, flags) =>
      withContext(flags.json === true, async context =>
        (await load()).runTask(context, app, given === undefined ? flags : { ...flags, command: given }),
      ),
    );
  command(program, 'tasks <app>', 'list the tasks of an app').action((app: string, flags) =>
    withContext(flags.json === true, async context => (await load()).tasks(context, app)),
  );
  command(program, 'terminate-task <app>', 'end a task that runs')
    .alias('cancel-task')
    .argument('<id>', 'its number, as tasks shows it', wholeNumber)
    .action((app: string, id: number, flags) =>
      withContext(flags.json === true, async context => (await load()).terminateTask(context, app, id)),
    );
}

function declareServices(program: Command): void {
  const load = () => import('./commands/services.ts');
  command(program, 'cups <name>', 'make a user-provided service: an address and a secret that apps are given')
    .alias('create-user-provided-service')
    .option('-p, --parameters <json>', 'credentials: JSON, a file of it, or names to be asked for')
    .option('-l, --syslog <url>', 'where logs of the apps go')
    .option('-r, --route <url>', 'where requests go first')
    .option('-t, --tags <list>', 'tags, with commas between')
    .action((name: string, flags) =>
      withContext(flags.json === true, async context => (await load()).cups(context, name, flags)),
    );
  command(program, 'services', 'list the service instances of the targeted space')
    .alias('s')
    .action(flags => withContext(flags.json === true, async context => (await load()).services(context)));
  command(program, 'service <service>', 'show one service instance')
    .option('--guid', 'print its guid only')
    .action((name: string, flags) =>
      withContext(flags.json === true, async context => (await load()).service(context, name, flags)),
    );
  command(program, 'bind-service <app> <service>', 'give a service to an app')
    .alias('bs')
    .option('--binding-name <name>', 'name in VCAP_SERVICES')
    .action((app: string, service: string, flags) =>
      withContext(flags.json === true, async context =>
        (await load()).bindService(context, app, { ...flags, service }),
      ),
    );
  command(program, 'unbind-service <app> <service>', 'take a service from an app')
    .alias('us')
    .action((app: string, service: string, flags) =>
      withContext(flags.json === true, async context => (await load()).unbindService(context, app, service)),
    );
  command(program, 'delete-service <service>', 'delete a service instance')
    .alias('ds')
    .option('-f, --force', 'do not ask')
    .action((name: string, flags) =>
      withContext(flags.json === true, async context => (await load()).deleteService(context, name, flags)),
    );
}

function declareSecurityGroups(program: Command): void {
  const load = () => import('./commands/security-groups.ts');
  command(program, 'security-groups', 'list what apps may reach, by which group').action(flags =>
    withContext(flags.json === true, async context => (await load()).securityGroups(context)),
  );
  for (const [usage, description, act] of [
    ['create-security-group <name> <file>', 'make a group of the rules in a JSON file', 'createSecurityGroup'],
    ['update-security-group <name> <file>', 'give a group other rules', 'updateSecurityGroup'],
  ] as const)
    command(program, usage, description).action((name: string, file: string, flags) =>
      withContext(flags.json === true, async context => (await load())[act](context, name, file)),
    );
  command(program, 'delete-security-group <group>', 'delete a group')
    .option('-f, --force', 'do not ask')
    .action((name: string, flags) =>
      withContext(flags.json === true, async context => (await load()).deleteSecurityGroup(context, name, flags)),
    );
  command(program, 'bind-security-group <group> <organization>', 'open to apps of a space what a group opens')
    .option('--space <name>', 'which space (default: all of the organization)')
    .option('--lifecycle <name>', 'running or staging (running)')
    .action((name: string, organization: string, flags) =>
      withContext(flags.json === true, async context =>
        (await load()).bindSecurityGroup(context, name, { ...flags, organization }),
      ),
    );
  command(program, 'unbind-security-group <group> <organization> <space>', 'take a group from a space')
    .option('--lifecycle <name>', 'running or staging (running)')
    .action((name: string, organization: string, space: string, flags) =>
      withContext(flags.json === true, async context =>
        (await load()).unbindSecurityGroup(context, name, { ...flags, organization, space }),
      ),
    );
}

function declareNetworkPolicies(program: Command): void {
  const load = () => import('./commands/network-policies.ts');
  command(program, 'network-policies', 'list which apps of the space may reach which, past the router')
    .option('--source <app>', 'only those of this app')
    .action(flags => withContext(flags.json === true, async context => (await load()).networkPolicies(context, flags)));
  for (const [name, description, act] of [
    ['add-network-policy', 'let instances of one app reach those of another', 'addNetworkPolicy'],
    ['remove-network-policy', 'undo it', 'removeNetworkPolicy'],
  ] as const)
    command(program, `${name} <source> <destination>`, description)
      .option('--protocol <name>', 'tcp or udp, with --port (tcp)')
      .option('--port <port>', 'one, or a range: 8080-8090 (8080)')
      .option('-s, --space <name>', 'space of the destination (the targeted one)')
      .option('-o, --organization <name>', 'its organization (the targeted one)')
      .action((source: string, destination: string, flags) =>
        withContext(flags.json === true, async context => (await load())[act](context, [source, destination], flags)),
      );
}

function declarePlaces(program: Command): void {
  const load = () => import('./commands/people.ts');
  command(program, 'create-org <name>', 'make an organization')
    .alias('co')
    .action((name: string, flags) =>
      withContext(flags.json === true, async context => (await load()).createOrg(context, name)),
    );
  command(program, 'delete-org <organization>', 'delete an organization with everything in it')
    .option('-f, --force', 'do not ask')
    .action((name: string, flags) =>
      withContext(flags.json === true, async context => (await load()).deleteOrg(context, name, flags)),
    );
  command(program, 'delete-space <space>', 'delete a space with everything in it')
    .option('-f, --force', 'do not ask')
    .option('-o, --organization <name>')
    .action((name: string, flags) =>
      withContext(flags.json === true, async context => (await load()).deleteSpace(context, name, flags)),
    );
}

function declareUsers(program: Command): void {
  const load = () => import('./commands/people.ts');
  command(program, 'users', 'list the users that you may see').action(flags =>
    withContext(flags.json === true, async context => (await load()).users(context)),
  );
  command(program, 'create-user <name> [password]', 'make a user; better without the password in the command line')
    .option('--password-stdin', 'read the password from stdin')
    .action((name: string, password: string | undefined, flags) =>
      withContext(flags.json === true, async context =>
        (await load()).createUser(context, name, { ...flags, password }),
      ),
    );
  command(program, 'delete-user <user>', 'delete a user')
    .option('-f, --force', 'do not ask')
    .action((name: string, flags) =>
      withContext(flags.json === true, async context => (await load()).deleteUser(context, name, flags)),
    );
  for (const [usage, description, act] of [
    ['set-role <user> <role>', 'give a role: OrgManager, SpaceDeveloper, SpaceAuditor ...', 'setRole'],
    ['unset-role <user> <role>', 'take a role', 'unsetRole'],
  ] as const)
    command(program, usage, description)
      .option('-o, --organization <name>', 'where (default: the one that is targeted)')
      .option('-s, --space <name>', 'where, for roles in a space')
      .action((user: string, role: string, flags) =>
        withContext(flags.json === true, async context => (await load())[act](context, user, role, flags)),
      );
  command(program, 'passwd', 'change your password')
    .option('--password-stdin', 'read the new one from stdin')
    .action(flags => withContext(flags.json === true, async context => (await load()).passwd(context, flags)));
}
