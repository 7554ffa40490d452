/** Which name servers answer from inside a network namespace: those of the host that are not on its loopback. */
import { readFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';

/** The first with a usable server counts: systemd-resolved keeps the real ones beside its own stub. */
const FILES = ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf'];

export function readNameServers(files: string[] = FILES): string[] {
  for (const file of files) {
    const usable = namedIn(readOrEmpty(file)).filter(address => !address.startsWith('127.'));
    if (usable.length > 0) return usable;
  }
  return [];
}

const namedIn = (text: string): string[] =>
  text
    .split('\n')
    .flatMap(line => /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? [])
    .filter(isIPv4);

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // Not on this machine.
  }
}
