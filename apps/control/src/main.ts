/** `./cupola up|down|restart|status|ca|doctor`, and `part NAME`, by which the supervisor starts the parts. Each is loaded only when asked for. */
import { Command, InvalidArgumentError } from 'commander';
import type { InstallFlags } from './commands/install.ts';
import type { JoinFlags } from './commands/join.ts';
import { PlainError, type UpFlags } from './platform-config.ts';

function port(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 0 || number > 65_535)
    throw new InvalidArgumentError('A port is a number from 0 (a free one) to 65535.');
  return number;
}

interface DataFlag {
  data?: string;
  json?: boolean;
}

const program = new Command('cupola').description(
  'Cloud Foundry in one command. Below: the platform. Apps: cupola push --help',
);
const data = ['--data <folder>', 'data folder of the platform (default: ~/.cupola)'] as const;

program
  .command('up [folder]')
  .description('start the platform here; with FOLDER, push that app too')
  .option(...data)
  .option('--port <n>', 'port of the apps (8080; 0: a free one)', port)
  .option('--api-port <n>', 'port of the API (8081; 0: a free one)', port)
  .option('--https-port <n>', 'port of the apps and the API over HTTPS (8443, or a free one; 0: a free one)', port)
  .option('--tls-cert <file>', 'certificate chain for HTTPS, PEM (one of a CA of its own is made; none: back to that)')
  .option('--tls-key <file>', 'its private key, PEM')
  .option(
    '--acme-email <address>',
    "order certificates from Let's Encrypt under this address (needs --port 80 --https-port 443; none: no more)",
  )
  .option('--acme-directory <url>', 'directory of another ACME authority')
  .option('--ssh-port <n>', 'port of git push over SSH (none: no more; 0: a free one)')
  .option('--listen <address>', 'address to listen on (127.0.0.1)')
  .option('--domain <name>', 'domain of the apps (localhost)')
  .option(
    '--host-ports <ports>',
    "ports of this machine that security groups may open to apps: its database's (none: no more)",
  )
  .option(
    '--cluster-listen <host:port>',
    'let other machines join, which call here: --cluster-listen 0.0.0.0:7443 (none: no more)',
  )
  .option('--address <host>', 'under which they reach this machine (its first address)')
  .option('--zone <name>', 'zone of this machine: copies of an app are spread over zones first (z1)')
  .option('--isolation-segment <name>', 'run only the apps of spaces in that isolation segment (none: no more)')
  .option('--admin-password <password>', 'password of the user admin (one is made at first start)')
  .option('--no-install', 'install no Debian packages')
  .option('--allow-unsandboxed', 'run apps as plain processes where no sandbox works: for trusted code only')
  .option('--sandbox <kind>', 'docker: run apps and builds in a Docker engine (auto: in the strongest sandbox here)')
  .option('--docker-host <url>', 'its address (unix:///var/run/docker.sock)')
  .option('--detach', 'come back once it serves; stop it with `cupola down`')
  .option('--json', 'print one JSON object')
  .action(
    async (folder: string | undefined, flags: UpFlags & { install: boolean; detach?: boolean; json?: boolean }) => {
      const { up } = await import('./commands/up.ts');
      await up({ folder, ...flags });
    },
  );

for (const [name, description] of [
  ['down', 'stop the platform and all instances; `up` brings them back'],
  ['restart', "swap the platform's own processes for fresh ones, keep the instances"],
  ['status', 'what runs: parts, ports, instances'],
] as const)
  program
    .command(name)
    .description(description)
    .option(...data)
    .option('--json', 'print one JSON object')
    .action(async (flags: DataFlag) => {
      const commands = await import('./commands/running.ts');
      await commands[name](flags);
    });

program
  .command('ca')
  .description("print the certificate of the platform's own CA, and how to trust it")
  .option(...data)
  .action(async (flags: DataFlag) => {
    const { ca } = await import('./commands/ca.ts');
    await ca(flags);
  });

program
  .command('install')
  .description(
    'make the platform a service of this machine: ports 80 and 443, there again after a reboot (root, systemd)',
  )
  .option('--data <folder>', 'data folder of the platform (/var/lib/cupola)')
  .option('--domain <name>', 'domain of the apps (localhost): its names and *.names lead here')
  .option('--port <n>', 'port of HTTP (80)', port)
  .option('--https-port <n>', 'port of HTTPS (443)', port)
  .option('--api-port <n>', 'port of the API (8081)', port)
  .option('--ssh-port <n>', 'port of git push over SSH (none: no more)')
  .option('--listen <address>', 'address to listen on (0.0.0.0)')
  .option('--tls-cert <file>', 'certificate chain for HTTPS, PEM')
  .option('--tls-key <file>', 'its private key, PEM')
  .option('--acme-email <address>', "order certificates from Let's Encrypt under this address (none: no more)")
  .option(
    '--host-ports <ports>',
    "ports of this machine that security groups may open to apps: its database's (none: no more)",
  )
  .option('--sandbox <kind>', 'docker: run apps and builds in a Docker engine (auto: in the strongest sandbox here)')
  .option('--docker-host <url>', 'its address (unix:///var/run/docker.sock)')
  .option('--cluster-listen <host:port>', 'let other machines join, which call here (none: no more)')
  .option('--address <host>', 'under which they reach this machine (its first address)')
  .option('--zone <name>', 'zone of this machine (z1)')
  .option('--isolation-segment <name>', 'run only the apps of spaces in that isolation segment (none: no more)')
  .option('--join <host:port,...>', 'be a member of that cluster instead of a platform')
  .option('--token <token>', 'what ./cupola cluster token has printed there; needed the first time')
  .option('--token-file <file>', 'the same in a file; -: from standard input')
  .option('--print', 'print the unit, change nothing')
  .option('--json', 'print one JSON object')
  .action(async (flags: InstallFlags) => {
    const { install } = await import('./commands/install.ts');
    await install(flags);
  });

program
  .command('backup <file>')
  .description('write everything that cannot be made anew into a file, while the platform runs')
  .option(...data)
  .option('--with-stacks', 'the root filesystems of added stacks too: they may be larger than all the rest')
  .option('--json', 'print one JSON object')
  .action(async (file: string, flags: DataFlag & { withStacks?: boolean }) => {
    const { backup } = await import('./commands/backup.ts');
    await backup(file, flags);
  });

program
  .command('restore <file>')
  .description('a platform out of a backup, in a data folder that holds none')
  .option(...data)
  .option('--port <n>', 'port of the apps, instead of the former one', port)
  .option('--api-port <n>', 'port of the API, instead of the former one', port)
  .option('--https-port <n>', 'port of HTTPS, instead of the former one', port)
  .option('--listen <address>', 'address to listen on, instead of the former one')
  .option('--json', 'print one JSON object')
  .action(async (file: string, flags: UpFlags & { json?: boolean }) => {
    const { restore } = await import('./commands/backup.ts');
    await restore(file, flags);
  });

program
  .command('migrate')
  .description(
    "move the platform's state to PostgreSQL, its packages and droplets to S3, or back; apps go on meanwhile",
  )
  .option('--to <place>', 'postgres://USER:PASSWORD@HOST:5432/DATABASE, an empty database; or: embedded')
  .option('--blobs <place>', 's3://KEY:SECRET@BUCKET?endpoint=https://HOST; or: embedded')
  .option(...data)
  .option('--json', 'print one JSON object')
  .action(async (flags: DataFlag & { to?: string; blobs?: string }) => {
    const { migrate } = await import('./commands/migrate.ts');
    await migrate(flags);
  });

program
  .command('join <host:port...>')
  .description('make this machine a member of a cluster: it runs apps and builds, and passes requests on')
  .option('--token <token>', 'what ./cupola cluster token has printed there; needed the first time')
  .option(
    '--token-file <file>',
    'the same in a file, which counts until this machine is a member; -: from standard input',
  )
  .option(...data)
  .option(
    '--address <host>',
    'under which other machines reach this one (the address that it reaches the cluster from)',
  )
  .option('--listen <address>', 'address to listen on, for the routers of other machines and for requests (0.0.0.0)')
  .option('--port <n>', 'as a router: port of the apps (8080; 0: a free one)', port)
  .option('--https-port <n>', 'as a router: port of HTTPS (8443; 0: a free one)', port)
  .option('--domain <name>', 'as a router: domain of the apps, for certificates (localhost)')
  .option('--zone <name>', 'zone of this machine: copies of an app are spread over zones first (z1)')
  .option('--isolation-segment <name>', 'run only the apps of spaces in that isolation segment (none: no more)')
  .option(
    '--host-ports <ports>',
    "ports of this machine that security groups may open to apps: its database's (none: no more)",
  )
  .option('--no-install', 'install no Debian packages')
  .option('--allow-unsandboxed', 'run apps as plain processes where no sandbox works: for trusted code only')
  .option('--sandbox <kind>', 'docker: run apps and builds in a Docker engine (auto: in the strongest sandbox here)')
  .option('--docker-host <url>', 'its address (unix:///var/run/docker.sock)')
  .option('--json', 'print one JSON object')
  .action(async (addresses: string[], flags: JoinFlags) => {
    const { joinCommand } = await import('./commands/join.ts');
    await joinCommand(addresses, flags);
  });

const cluster = program.command('cluster').description('machines that have joined this platform');
cluster
  .command('token')
  .description('print what lets one machine join, once')
  .option('--role <roles>', 'what it will be: agent, stager, router, with commas between', 'agent,stager')
  .option('--minutes <n>', 'how long it may be used', Number, 60)
  .option('--id <id>', 'for a member that has lost its certificate: its id, as cluster members shows it')
  .option(...data)
  .option('--json', 'print one JSON object')
  .action(async (flags: DataFlag & { role: string; minutes: number; id?: string }) => {
    const { clusterToken } = await import('./commands/cluster.ts');
    await clusterToken(flags);
  });
cluster
  .command('members')
  .description('who has joined')
  .option(...data)
  .option('--json', 'print one JSON array')
  .action(async (flags: DataFlag) => {
    const { clusterMembers } = await import('./commands/cluster.ts');
    await clusterMembers(flags);
  });
cluster
  .command('remove <id>')
  .description('refuse a machine from now on; what ran there is started elsewhere')
  .option(...data)
  .option('--json', 'print one JSON object')
  .action(async (id: string, flags: DataFlag) => {
    const { removeFromCluster } = await import('./commands/cluster.ts');
    await removeFromCluster(id, flags);
  });

cluster
  .command('down')
  .description('end the cluster that docker compose has started from here, and leave nothing of it')
  .option('--keep-data', 'keep volumes and images: docker compose up brings everything back')
  .option('--json', 'print one JSON object')
  .action(async (flags: { keepData?: boolean; json?: boolean }) => {
    const { clusterDown } = await import('./commands/cluster-down.ts');
    clusterDown(flags);
  });

const compose = program.command('compose', { hidden: true }).description('steps of docker-compose.yml');
compose.command('prepare').action(async () => {
  const { prepare } = await import('./compose/prepare.ts');
  await prepare(process.env.CUPOLA_HOST_COPIES ?? '');
});
compose.command('tokens <members...>').action(async (members: string[]) => {
  const { giveTokens } = await import('./compose/tokens.ts');
  await giveTokens('/data', members);
});
compose.command('sweep').action(async () => {
  const { sweep } = await import('./compose/sweep.ts');
  await sweep(process.env.CUPOLA_DATA ?? '', { keepData: process.env.CUPOLA_KEEP_DATA === '1' });
});

program
  .command('cells')
  .description('machines that run apps: state, memory, what is placed there')
  .option(...data)
  .option('--json', 'print one JSON array')
  .action(async (flags: DataFlag) => {
    const { cells } = await import('./commands/cells.ts');
    await cells(flags);
  });
const cell = program.command('cell').description('one machine that runs apps');
cell
  .command('drain <name>')
  .alias('evacuate')
  .description(
    'move everything away from it, without a dropped request, and place nothing there; waits until it is empty',
  )
  .option('--no-wait', 'come back at once')
  .option(...data)
  .option('--json', 'print one JSON object')
  .action(async (name: string, flags: DataFlag & { wait: boolean }) => {
    const { drainCell } = await import('./commands/cells.ts');
    await drainCell(name, flags);
  });
cell
  .command('activate <name>')
  .description('place apps there again')
  .option(...data)
  .option('--json', 'print one JSON object')
  .action(async (name: string, flags: DataFlag) => {
    const { activateCell } = await import('./commands/cells.ts');
    await activateCell(name, flags);
  });

program
  .command('user')
  .description('users of the platform on this machine')
  .command('reset-password <name>')
  .description('give a user a new password, and print it')
  .option(...data)
  .option('--password-stdin', 'take the new password from stdin instead of making one')
  .option('--json', 'print one JSON object')
  .action(async (name: string, flags: DataFlag & { passwordStdin?: boolean }) => {
    const { resetPassword } = await import('./commands/user.ts');
    await resetPassword(name, flags);
  });

const stacks = program
  .command('stack')
  .description('root filesystems that apps can be staged and run on, beside this machine');
stacks
  .command('add <source>')
  .description('add one: a tar of a root filesystem, an image as a file or OCI layout, or HOST/NAME:TAG of a registry')
  .option('--name <name>', 'its name (that of the file or image); one that is there already is brought up to date')
  .option(...data)
  .option('--json', 'print one JSON object')
  .action(async (source: string, flags: DataFlag & { name?: string }) => {
    const { addStack } = await import('./commands/stack.ts');
    await addStack(source, flags);
  });
stacks
  .command('list')
  .description('those that were added')
  .option(...data)
  .option('--json', 'print one JSON array')
  .action(async (flags: DataFlag) => {
    const { listStacks } = await import('./commands/stack.ts');
    listStacks(flags);
  });
stacks
  .command('remove <name>')
  .description('offer it no more')
  .option(...data)
  .option('--json', 'print one JSON object')
  .action(async (name: string, flags: DataFlag) => {
    const { removeStack } = await import('./commands/stack.ts');
    await removeStack(name, flags);
  });

program
  .command('doctor')
  .description('what this machine can do for Cupola, and what to install')
  .option(...data)
  .option('--json', 'print one JSON object')
  .action(async (flags: DataFlag) => {
    const { doctor } = await import('./commands/doctor.ts');
    await doctor(flags);
  });

program
  .command('program <name>')
  .description('run one part of a cluster alone: api, scheduler or git (settings by environment)')
  .action((name: string) => {
    throw new PlainError(`The launcher starts it: ./cupola program ${name}.`);
  });

program
  .command('part <name>', { hidden: true })
  .description('one part of a platform, started by its supervisor')
  .action(async (name: string) => {
    if (name === 'control') await (await import('./control-part.ts')).runControl();
    else if (name === 'cell') await (await import('./cell-part.ts')).runCell();
    else if (name === 'git') await (await import('./git-part.ts')).runGit();
    else throw new PlainError(`There is no part "${name}".`);
  });

program.addHelpText(
  'after',
  `
Apps (each explains itself: cupola push --help):
  work       login logout target push dev diff open logs watch top doctor APP completion
  apps       apps app start stop restart APP restage scale rename delete env set-env unset-env events
  versions   revisions rollback continue-deployment cancel-deployment image
  git        git:remote git:config git:hook git:webhook git:previews ssh-keys
  tasks      run-task tasks terminate-task
  routes     routes create-route map-route unmap-route delete-route domains
  services   services service cups bind-service unbind-service delete-service
  networks   network-policies add-network-policy remove-network-policy security-groups create-security-group
             update-security-group delete-security-group bind-security-group unbind-security-group
  people     orgs create-org delete-org spaces create-space delete-space users create-user delete-user set-role
             unset-role passwd
  more       buildpacks curl
The real cf CLI works too: \`cupola up\` prints its login line.`,
);

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof PlainError)) throw error;
  console.error(error.message);
  // Whatever is still open (a pipe of a part that would not start) must not keep the command from ending.
  process.exit(1);
}
