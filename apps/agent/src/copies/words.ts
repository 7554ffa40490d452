/** What users read of a copy's life in `cf logs`, in Diego's words; one place, so that nobody writes a second version. */

import { withCode } from '@cupola/model/causes';
import type { SandboxExit } from '@cupola/sandbox/sandbox';
import type { LogSender } from '../logs/log-sender.ts';
import { startTimeoutMs } from '../probes/health.ts';
import { type Copy, logSource } from './copy.ts';

export interface Words {
  creating(copy: Copy): void;
  created(copy: Copy): void;
  notCreated(copy: Copy, why: string): void;
  monitoring(copy: Copy): void;
  healthy(copy: Copy): void;
  unhealthy(copy: Copy, reason: string): void;
  ready(copy: Copy, isReady: boolean): void;
  /** Names of files below the app's folder. */
  filesNotKept(copy: Copy, files: readonly string[]): void;
  exited(copy: Copy, exit: SandboxExit): void;
  stopping(copy: Copy): void;
  destroying(copy: Copy): void;
  destroyed(copy: Copy): void;
}

export function createWords({ cellId, sender, now }: { cellId: string; sender: LogSender; now(): number }): Words {
  const say =
    (sourceType: 'APP' | 'CELL' | 'HEALTH', type: 'OUT' | 'ERR') =>
    (copy: Copy, line: string): void =>
      sender.offer({ source: logSource(copy, sourceType), type, timestampMs: now(), line, mark: null });
  const cell = say('CELL', 'OUT');
  const cellError = say('CELL', 'ERR');
  // Nobody asks for the health of a task.
  const ofProcess = (copy: Copy, line: string): void => {
    if (copy.record.placement.runSpec.taskName === undefined) cell(copy, line);
  };
  const of = (copy: Copy): string => `for instance ${copy.record.placement.guid}`;
  return {
    creating: copy => cell(copy, `Cell ${cellId} creating container ${of(copy)}`),
    created: copy => cell(copy, `Cell ${cellId} successfully created container ${of(copy)}`),
    notCreated: (copy, why) => cellError(copy, `Cell ${cellId} failed to create container ${of(copy)}: ${why}`),
    monitoring: copy => ofProcess(copy, 'Starting health monitoring of container'),
    healthy: copy => ofProcess(copy, 'Container became healthy'),
    unhealthy: (copy, reason) => {
      say('HEALTH', 'ERR')(copy, reason);
      const seconds = startTimeoutMs(copy.record.placement.runSpec.healthCheck) / 1000;
      const text =
        copy.record.phase === 'starting'
          ? `Timed out after ${seconds}s: health check never passed.`
          : 'Container became unhealthy';
      cellError(copy, text);
    },
    ready: (copy, isReady) => cell(copy, `Container ${isReady ? 'passed' : 'failed'} the readiness health check`),
    filesNotKept: (copy, files) =>
      cellError(
        copy,
        withCode(`It writes ${files.join(', ')}, which will be gone at its next restart`, 'files-not-kept'),
      ),
    exited: (copy, exit) => say('APP', exit.code === 0 ? 'OUT' : 'ERR')(copy, exitWords(exit)),
    stopping: copy => cell(copy, `Cell ${cellId} stopping instance ${copy.record.placement.guid}`),
    destroying: copy => cell(copy, `Cell ${cellId} destroying container ${of(copy)}`),
    destroyed: copy => cell(copy, `Cell ${cellId} successfully destroyed container ${of(copy)}`),
  };
}

function exitWords({ code, signal, outOfMemory, lost }: SandboxExit): string {
  if (lost) return 'Exit status unknown (supervisor lost)';
  // As a shell says it: 128 and the signal's number.
  return `Exit status ${code ?? 128 + (signal ?? 0)}${outOfMemory ? ' (out of memory)' : ''}`;
}

/** The reason that `cf events` and `cf app` show. */
export function exitReason(exit: SandboxExit, { unhealthy, memoryMb, source }: ExitFacts): string {
  if (unhealthy !== null) return unhealthy;
  if (exit.outOfMemory) return `out of memory: limit ${memoryMb} MB`;
  if (exit.lost) return 'supervisor lost';
  return `${source}: Exited with status ${exit.code ?? 128 + (exit.signal ?? 0)}`;
}

interface ExitFacts {
  unhealthy: string | null;
  memoryMb: number;
  /** `APP/PROC/WEB`. */
  source: string;
}
