/** Ends what the build has left running in its sandbox: the layer is packed when nothing writes to it any more. */
import { readdirSync, readFileSync } from 'node:fs';

/** Only where process ids are the sandbox's own. We ourselves and those above us stay. */
export function endOthers(): void {
  const stay = new Set(ancestors(process.pid));
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid <= 1 || stay.has(pid)) continue;
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // Ended by itself, or not ours.
    }
  }
}

function ancestors(pid: number): number[] {
  const chain: number[] = [];
  for (let at = pid; at > 1; at = parentOf(at)) chain.push(at);
  return chain;
}

function parentOf(pid: number): number {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(line.slice(line.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return 0;
  }
}
