/** What of the platform itself needs its operator. Pure. */
import type { Cluster } from '@cupola/contract/v3/cluster';
import type { Tone } from '../apps/health.ts';
import { shortDuration } from '../ui/time.ts';

export interface Attention {
  key: string;
  tone: Tone;
  word: string;
  text: string;
}

/** Beyond it a cell has hardly room for what another one may lose (ours). */
const NEARLY_FULL = 0.9;
/** A build that waits for longer has no free stager; a push takes seconds. */
const BUILDS_WAIT_MS = 30_000;

/** Worst first. `nowMs`: epoch ms. */
export function attentionOf({ cells, builds, disk_in_mb: disk }: Cluster, nowMs: number): Attention[] {
  const found: Attention[] = [];
  for (const { guid, name, state, memory_in_mb: memory } of cells) {
    if (state === 'LOST')
      found.push({
        ...{ key: guid, tone: 'bad', word: 'lost' },
        text: `${name} is not heard of any more. What ran there is started elsewhere, as far as there is room.`,
      });
    else if (memory.placed >= memory.capacity * NEARLY_FULL && memory.capacity > 0)
      found.push({
        ...{ key: guid, tone: 'moving', word: 'nearly full' },
        text: `${name} has given away ${share(memory)} of its memory. Another machine, or fewer or smaller instances, would make room.`,
      });
  }
  const waitMs = builds.oldest_waiting_since === null ? 0 : nowMs - Date.parse(builds.oldest_waiting_since);
  if (waitMs > BUILDS_WAIT_MS)
    found.push({
      ...{ key: 'builds', tone: 'bad', word: 'builds wait' },
      text: `${builds.waiting === 1 ? '1 build waits' : `${builds.waiting} builds wait`} for a stager, the oldest for ${shortDuration(waitMs / 1_000)}. Is one up, and is it connected?`,
    });
  if (disk.free < disk.kept_free)
    found.push({
      ...{ key: 'disk', tone: 'bad', word: 'disk full' },
      text: `Pushes are refused: ${disk.free} MB are free, and ${disk.kept_free} MB are kept free. ./cupola doctor shows what lies there.`,
    });
  else if (disk.free < 2 * disk.kept_free)
    found.push({
      ...{ key: 'disk', tone: 'moving', word: 'disk' },
      text: `${disk.free} MB are free. Pushes are refused below ${disk.kept_free} MB.`,
    });
  return found.toSorted((a, b) => Number(b.tone === 'bad') - Number(a.tone === 'bad'));
}

/** `42 %`. */
export function share({ placed, capacity }: { placed: number; capacity: number }): string {
  return capacity === 0 ? '0 %' : `${Math.round((placed / capacity) * 100)} %`;
}
