/** `install`: makes the platform a service of this machine, on the ports of the web, there again after a reboot. As root, by systemd. */
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { installMissing } from '../install.ts';
import { dataFolder, PlainError, type UpFlags } from '../platform-config.ts';
import { ownPrograms } from '../programs.ts';
import { unitText } from '../systemd-unit.ts';
import { prepareMember } from './join.ts';
import { askSupervisor } from './running.ts';

export interface InstallFlags extends UpFlags {
  print?: boolean;
  json?: boolean;
  /** `HOST:PORT` of a cluster's APIs, with commas between: this machine becomes its member instead of a platform. */
  join?: string;
  /** Needed where it is none yet. */
  token?: string;
  tokenFile?: string;
}

const UNIT_FILE = '/etc/systemd/system/cupola.service';
/** Not below a home: a service's. */
const DATA = '/var/lib/cupola';
const HTTP_PORT = 80;
const HTTPS_PORT = 443;
/** Made from nothing, with Node.js fetched and apps coming up. */
const READY_LIMIT_MS = 120_000;
const POLL_MS = 250;

export async function install(flags: InstallFlags): Promise<void> {
  const data = dataFolder(flags.data ?? DATA);
  const apis = flags.join?.split(',').map(text => text.trim()) ?? null;
  const unit = unitText({
    root: ownPrograms().root,
    data,
    home: homedir(),
    ...(apis === null
      ? { command: ['up'], flags: upFlags(flags) }
      : // What else was said is remembered by the member.
        { command: ['join', ...apis], flags: [] }),
  });
  if (flags.print) return console.log(unit.trimEnd());
  if (process.getuid?.() !== 0)
    throw new PlainError(
      "A service of this machine is root's to install: run it with sudo. What it would write: ./cupola install --print",
    );
  if (!existsSync('/run/systemd/system'))
    throw new PlainError(
      'This machine was not started by systemd, so there is nothing to install into. Keep `./cupola up` running by what starts services here; a unit for elsewhere: ./cupola install --print',
    );
  const say = (text: string): void => console.error(`cupola: ${text}`);
  installMissing(say);
  if (apis !== null) await prepareMember(data, apis, { ...flags, listen: flags.listen ?? '0.0.0.0' });
  writeFileSync(UNIT_FILE, unit, { mode: 0o644 });
  systemctl('daemon-reload');
  systemctl('enable', 'cupola.service');
  // One that runs already gets its new settings; its instances stop, and come back.
  systemctl('restart', 'cupola.service');
  const status = await ready(data);
  if (apis !== null) {
    if (flags.json) return console.log(JSON.stringify({ ...status, unit: UNIT_FILE }));
    return console.log(
      [
        `This machine is a member (${status.joined?.join(', ')}), and will be after each reboot. ${UNIT_FILE}`,
        '  upgrade  git pull && systemctl reload cupola      (instances run on)',
        "  leave    ./cupola cell drain NAME, on the platform's machine; then systemctl disable --now cupola here",
      ].join('\n'),
    );
  }
  if (flags.json)
    return console.log(JSON.stringify({ ...status, unit: UNIT_FILE, passwordFile: join(data, 'admin-password') }));
  console.log(
    [
      `Cupola serves, and will after each reboot. ${UNIT_FILE}`,
      `  apps     http://NAME.${status.domain} and https://NAME.${status.domain}`,
      `  API      https://api.${status.domain} (also ${status.api})`,
      `  login    ./cupola login -a ${status.api} -u admin -p "$(cat ${join(data, 'admin-password')})"`,
      '  upgrade  git pull && systemctl reload cupola      (instances run on)',
      '  stop     systemctl stop cupola;   never again: systemctl disable --now cupola',
      `  backup   ./cupola backup FILE --data ${data}`,
    ].join('\n'),
  );
}

function upFlags(flags: InstallFlags): string[] {
  const given: ReadonlyArray<readonly [string, string | number | undefined]> = [
    ['--port', flags.port ?? HTTP_PORT],
    ['--https-port', flags.httpsPort ?? HTTPS_PORT],
    ['--api-port', flags.apiPort],
    ['--listen', flags.listen ?? '0.0.0.0'],
    ['--domain', flags.domain],
    ['--ssh-port', flags.sshPort],
    ['--tls-cert', flags.tlsCert],
    ['--tls-key', flags.tlsKey],
    ['--acme-email', flags.acmeEmail],
    ['--cluster-listen', flags.clusterListen],
    ['--address', flags.address],
    ['--zone', flags.zone],
    ['--isolation-segment', flags.isolationSegment],
    ['--host-ports', flags.hostPorts],
    ['--sandbox', flags.sandbox],
    ['--docker-host', flags.dockerHost],
  ];
  return given.flatMap(([flag, value]) => (value === undefined ? [] : [flag, String(value)]));
}

function systemctl(...args: string[]): void {
  const { status, stderr } = spawnSync('systemctl', args, { encoding: 'utf8' });
  if (status !== 0) throw new PlainError(`systemctl ${args.join(' ')} failed: ${stderr.trim()}`);
}

async function ready(data: string) {
  for (const end = performance.now() + READY_LIMIT_MS; performance.now() < end; ) {
    const status = await askSupervisor(data, '/ready').catch(() => null);
    if (status !== null) return status;
    await new Promise(resolve => setTimeout(resolve, POLL_MS));
  }
  throw new PlainError(
    `The service does not serve after ${READY_LIMIT_MS / 1_000} s. Why: journalctl -u cupola -n 50. It is tried again by itself.`,
  );
}
