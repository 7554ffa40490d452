/** What users do and what goes wrong, as a list made from a seed: a list can be cut shorter until only what breaks an invariant is left. */
import type { Random } from './random.ts';

export const HAPPENINGS = [
  'create',
  'delete',
  'start',
  'stop',
  'stop-and-start',
  'restart',
  'push-bad',
  'scale',
  'restart-index',
  'crash',
  'kill-agent',
  'freeze-agent',
  'power-off',
  'new-disk',
  'cut-off',
  'new-leader',
  'freeze-write',
  'break-sandboxes',
  'resize',
  'deploy',
  'deploy-bad',
  'deploy-canary',
  'continue-deployment',
  'cancel-deployment',
  'run-task',
  'cancel-task',
] as const;
export type HappeningKind = (typeof HAPPENINGS)[number];

export interface Happening {
  atMs: number;
  kind: HappeningKind;
  /** Which process or cell, counted round. */
  which: number;
  /** How much, how long: 0 to 99. */
  much: number;
}

/** The commoner ones several times. */
const DRAWN: readonly HappeningKind[] = [
  ...HAPPENINGS,
  'restart',
  'restart',
  'scale',
  'scale',
  'stop-and-start',
  'stop-and-start',
  'crash',
  'crash',
  'crash',
  'kill-agent',
  'cut-off',
  'cut-off',
  'power-off',
  'new-leader',
  'freeze-write',
  'freeze-write',
  'deploy',
  'deploy',
  'deploy',
  'deploy-bad',
  'deploy-canary',
  'continue-deployment',
  'continue-deployment',
  'run-task',
  'run-task',
];
const COUNT = { min: 4, max: 16 };
const SPAN_MS = 60_000;

export function drawHappenings(random: Random): Happening[] {
  const list = Array.from({ length: random.between(COUNT.min, COUNT.max) }, () => ({
    atMs: random.between(500, SPAN_MS),
    kind: random.pick(DRAWN),
    which: random.int(12),
    much: random.int(100),
  }));
  return list.sort((a, b) => a.atMs - b.atMs);
}
