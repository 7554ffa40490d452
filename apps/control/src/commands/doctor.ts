/** `./cupola doctor`: looks at the machine, by trying, and says in plain words what Cupola can do here and what to install for more. Changes nothing. */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { arch, platform, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RungTrial, tryRungs } from '@cupola/sandbox/open-sandboxes';
import { type DiskUse, diskLines, diskUse } from '../disk-use.ts';
import { findTool, missingPackages } from '../install.ts';
import { dataFolder, readConfig } from '../platform-config.ts';
import { askSupervisor } from './running.ts';

interface Flags {
  data?: string;
  json?: boolean;
}

/** Used by none of the parts: tries only. */
const CANARY_UID = 69_997;

interface Findings {
  node: string;
  system: string;
  user: 'root' | 'ordinary user';
  data: string;
  running: boolean;
  rungs: RungTrial[];
  network: { separate: boolean; why: string | null; hostPorts: number[] };
  missingPackages: string[];
  disk: DiskUse | null;
}

export async function doctor(flags: Flags): Promise<void> {
  const data = dataFolder(flags.data);
  const findings = await look(data);
  if (flags.json === true) return console.log(JSON.stringify(findings, null, 2));
  console.log(report(findings).join('\n'));
}

async function look(data: string): Promise<Findings> {
  const isRoot = process.getuid?.() === 0;
  const folder = mkdtempSync(join(tmpdir(), 'cupola-doctor-'));
  const lacking = ['ip', 'nft'].filter(tool => findTool(tool) === null);
  const why = !isRoot ? 'needs root' : lacking.length > 0 ? `needs the tools ${lacking.join(' and ')}` : null;
  const dockerHost = readConfig(data)?.dockerHost ?? null;
  try {
    const rungs = await tryRungs({
      folder: join(folder, 'sandboxes'),
      installation: `doctor-${randomUUID().slice(0, 8)}`,
      allowUnsandboxed: readConfig(data)?.allowUnsandboxed ?? false,
      canaryUid: CANARY_UID,
      separateNetwork: why === null,
      ...(dockerHost === null ? {} : { dockerHost }),
    });
    return {
      node: process.version,
      system: `${platform()} ${release()} ${arch()}`,
      user: isRoot ? 'root' : 'ordinary user',
      data,
      running: (await askSupervisor(data, '/status').catch(() => null)) !== null,
      rungs,
      network: { separate: why === null, why, hostPorts: readConfig(data)?.hostPorts ?? [] },
      missingPackages: missingPackages(),
      disk: diskUse(data),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function report(found: Findings): string[] {
  // Where the operator has chosen Docker there is nothing else.
  const docker = found.rungs.find(({ name }) => name === 'docker');
  const chosen = (docker === undefined ? found.rungs : [docker]).find(({ usable }) => usable);
  return [
    `Node.js    ${found.node}`,
    `system     ${found.system}, started by ${found.user === 'root' ? 'root' : 'an ordinary user'}`,
    `data       ${found.data} (${found.running ? 'a platform runs' : 'no platform runs'})`,
    `network    ${found.network.separate ? 'each instance has its own, with egress rules' : `instances share this machine's, so network policies and names under apps.internal count for nothing: a network of their own ${found.network.why}`}`,
    ...(found.network.hostPorts.length === 0
      ? []
      : [`           ports of this machine that security groups may open: ${found.network.hostPorts.join(', ')}`]),
    ...(found.disk === null ? [] : ['', ...diskLines(found.disk)]),
    '',
    'sandboxes, strongest first',
    ...found.rungs.map(
      ({ name, usable, why }) =>
        `  ${name.padEnd(11)} ${usable ? (name === chosen?.name ? 'works, used' : 'works') : `no: ${why}`}`,
    ),
    '',
    ...(chosen === undefined
      ? [
          docker === undefined
            ? 'No sandbox works here, so apps are refused. Install bubblewrap, or run as root; for trusted code only: ./cupola up --allow-unsandboxed'
            : 'Apps shall run in Docker, which does not work here, so they are refused. Mend it, or choose another: ./cupola up --sandbox auto',
        ]
      : chosen.report === null || chosen.report.missing.length === 0
        ? [`Apps run in ${chosen.name}: everything that Cupola can enforce is enforced.`]
        : [
            `Apps run in ${chosen.name}. What is not enforced here:`,
            ...chosen.report.missing.map(text => `  - ${text}`),
          ]),
    ...(found.missingPackages.length === 0
      ? []
      : ['', `For more: apt-get install ${found.missingPackages.join(' ')}   (as root, ./cupola up does it)`]),
    ...(found.user === 'root'
      ? []
      : ['', 'Started as root, Cupola gives each app a user, a network and enforced limits of its own.']),
  ];
}
