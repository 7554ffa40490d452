import { spawn } from 'node:child_process';
import { mkdirSync, openSync, readFileSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { installMissing } from '../install.ts';
import { readMember } from '../member-config.ts';
import { storeFailure } from '../open-store.ts';
import {
  adminPassword,
  command,
  dataFolder,
  HTTPS_PORT,
  makeFolders,
  PlainError,
  readConfig,
  resolveConfig,
  type UpFlags,
  writeConfig,
} from '../platform-config.ts';
import { ownPrograms, programFile } from '../programs.ts';
import { pushFolder } from '../push-folder.ts';
import { type PlatformStatus, startSupervisor } from '../supervisor.ts';
import { askSupervisor } from './running.ts';

export interface UpOptions extends UpFlags {
  folder: string | undefined;
  install: boolean;
  detach?: boolean;
  json?: boolean;
}

/** Starts the platform of a data folder, pushes `folder` if given, prints where everything is, and stays until Ctrl-C (or comes back, with `detach`). */
export async function up(options: UpOptions): Promise<void> {
  const data = dataFolder(options.data);
  const say = (text: string): void => console.error(`cupola: ${text}`);
  const running = await askSupervisor(data, '/status');
  if (running !== null) {
    if (options.folder === undefined)
      throw new PlainError(
        `Cupola runs already with the data folder ${data} (pid ${running.pid}): ${running.api}. Stop it with ${command('down', data)}, or give this one a folder of its own with --data.`,
      );
    say(`Cupola runs already (pid ${running.pid}); pushing ${options.folder} to it`);
    return finish(options, data, running, adminPassword(data, undefined));
  }
  requireRedisAddress(process.env.CUPOLA_REDIS_URL ?? '');
  if (readMember(data) !== null)
    throw new PlainError(
      `This machine has joined a cluster with the data folder ${data}. Go on with ./cupola join, or choose another folder with --data.`,
    );
  const config = resolveConfig(data, options);
  makeFolders(data);
  const password = adminPassword(data, options.adminPassword);
  if (options.install) installMissing(say);
  const failure = await storeFailure(join(data, 'state'));
  if (failure !== null)
    say(`${failure}. The platform serves as soon as it answers; where it lies is in ${data}/state/database.`);
  if (options.detach === true) return detach(options, data, password);

  const supervisor = await startSupervisor({
    data,
    config,
    // Only a port that nobody asked for may be another one.
    httpsPortMayMove: options.httpsPort === undefined && config.httpsPort === HTTPS_PORT,
    programs: ownPrograms(),
    admin: { password, reset: options.adminPassword !== undefined || process.env.CUPOLA_ADMIN_PASSWORD_RESET === '1' },
    report: say,
  });
  const status = supervisor.status();
  writeConfig(data, {
    ...config,
    port: status.port,
    apiPort: status.apiPort,
    httpsPort: status.httpsPort,
    sshPort: status.sshPort,
    cluster:
      config.cluster === null || status.clusterPort === null ? null : { ...config.cluster, port: status.clusterPort },
  });
  let stops = 0;
  const stop = (): void => {
    stops++;
    if (stops === 1) {
      say('stopping every instance, then the platform (what is desired stays: ./cupola up brings it back)');
      void supervisor.down();
    } else if (stops === 2) say('still stopping: apps have 10 s to end by themselves');
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  process.on('SIGHUP', stop);
  const refused = await Promise.race([supervisor.ready(), supervisor.over, supervisor.refused]);
  if (typeof refused === 'string') {
    await supervisor.down();
    throw new PlainError(refused);
  }
  if (stops === 0) await finish(options, data, supervisor.status(), password);
  await supervisor.over;
}

function requireRedisAddress(url: string): void {
  if (url === '' || /^rediss?:\/\/[^/]/.test(url)) return;
  throw new PlainError(
    'CUPOLA_REDIS_URL is no address of Redis. Write redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], or rediss:// for TLS; without it build queue and logs lie in the data folder.',
  );
}

/** Starts the supervisor as a process of its own and waits until it serves. */
async function detach(options: UpOptions, data: string, password: string): Promise<void> {
  mkdirSync(join(data, 'log'), { recursive: true, mode: 0o700 });
  const log = openSync(join(data, 'log', 'supervisor.log'), 'a', 0o600);
  const flags = [
    ...(options.port === undefined ? [] : ['--port', String(options.port)]),
    ...(options.apiPort === undefined ? [] : ['--api-port', String(options.apiPort)]),
    ...(options.httpsPort === undefined ? [] : ['--https-port', String(options.httpsPort)]),
    ...(options.tlsCert === undefined ? [] : ['--tls-cert', resolve(options.tlsCert)]),
    ...(options.tlsKey === undefined ? [] : ['--tls-key', resolve(options.tlsKey)]),
    ...(options.acmeEmail === undefined ? [] : ['--acme-email', options.acmeEmail]),
    ...(options.acmeDirectory === undefined ? [] : ['--acme-directory', options.acmeDirectory]),
    ...(options.sshPort === undefined ? [] : ['--ssh-port', options.sshPort]),
    ...(options.listen === undefined ? [] : ['--listen', options.listen]),
    ...(options.domain === undefined ? [] : ['--domain', options.domain]),
    ...(options.clusterListen === undefined ? [] : ['--cluster-listen', options.clusterListen]),
    ...(options.address === undefined ? [] : ['--address', options.address]),
    ...(options.zone === undefined ? [] : ['--zone', options.zone]),
    ...(options.isolationSegment === undefined ? [] : ['--isolation-segment', options.isolationSegment]),
    ...(options.hostPorts === undefined ? [] : ['--host-ports', options.hostPorts]),
    ...(options.allowUnsandboxed === true ? ['--allow-unsandboxed'] : []),
    ...(options.sandbox === undefined ? [] : ['--sandbox', options.sandbox]),
    ...(options.dockerHost === undefined ? [] : ['--docker-host', options.dockerHost]),
  ];
  const before = statSync(join(data, 'log', 'supervisor.log')).size;
  const programs = ownPrograms();
  const child = spawn(
    process.execPath,
    [join(programs.root, programFile(programs, 'control')), 'up', '--data', data, '--no-install', '--json', ...flags],
    {
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...process.env, ...(options.adminPassword === undefined ? {} : { CUPOLA_ADMIN_PASSWORD_RESET: '1' }) },
    },
  );
  const complaint = (): string =>
    readFileSync(join(data, 'log', 'supervisor.log'))
      .subarray(before)
      .toString('utf8')
      .trim();
  const ended = new Promise<never>((_, reject) =>
    child.once('exit', code =>
      reject(
        new PlainError(
          complaint() || `The platform ended at its start (exit ${code}). Its parts write to ${data}/log.`,
        ),
      ),
    ),
  );
  ended.catch(() => undefined); // Only of interest while we wait below.
  const answered = async (): Promise<PlatformStatus> => {
    for (;;) {
      const status = await askSupervisor(data, '/ready');
      if (status !== null) return status;
      await new Promise(done => setTimeout(done, 20));
    }
  };
  const status = await Promise.race([answered(), ended]);
  child.unref();
  await finish(options, data, status, password);
}

/** Pushes the folder, then says where everything is. */
async function finish(options: UpOptions, data: string, status: PlatformStatus, password: string): Promise<void> {
  const pushed =
    options.folder === undefined
      ? null
      : await pushFolder({
          data,
          folder: resolve(options.folder),
          api: status.api,
          password,
          json: options.json === true,
        });
  if (options.json === true) {
    console.log(
      JSON.stringify({
        ...status,
        username: 'admin',
        passwordFile: join(data, 'admin-password'),
        organization: 'cupola',
        space: 'dev',
        app: pushed,
      }),
    );
    return;
  }
  const lines = [
    '',
    ...(pushed?.url === undefined ? [] : [`  app      ${pushed.url}`]),
    `  API      ${status.api}`,
    `  browser  ${status.api}/dashboard/`,
    `  HTTPS    https://NAME.${status.domain}:${status.httpsPort} (${secureText(data)})`,
    `  login    cf login -a ${status.api} -u admin -p ${password} -o cupola -s dev`,
    `  or       ./cupola login -a ${status.api} -u admin -p ${password} -o cupola -s dev`,
    '',
    pushed === null
      ? `  Push an app: ./cupola push NAME -p FOLDER   (after the login line above)`
      : `  Change the app, then: ./cupola push   in ${basename(options.folder ?? '.')}/ (after the login line above)`,
    options.detach === true
      ? `  Stop:    ${command('down', data)}`
      : `  Ctrl-C stops the platform and its apps; ${command('up', data)} brings them back.`,
  ];
  console.log(lines.join('\n'));
}

/** Which certificate is shown, and what to do about it. */
function secureText(data: string): string {
  return readConfig(data)?.tls == null
    ? `own CA: ${command('ca', data)} says how to trust it`
    : 'with the certificate that you gave';
}
