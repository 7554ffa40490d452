/** The shim in its smallest part: makes in a mount namespace of its own what the engine cannot mount, and moves it into the container (shim.pl, `be_host`). */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { findTool } from '../rungs.ts';
import { SandboxError } from '../sandbox.ts';
import { SHIM } from '../waiting-shim.ts';

export interface Guest {
  /** The FIFOs are there, which the container needs. */
  ready(): Promise<void>;
  /** Moves all mounts into the namespace of that process. */
  attach(pid: number): Promise<void>;
  /** Lets the container's first process go on; resolves once the app's init runs. */
  go(): Promise<void>;
  /** Ends it, if it has not. */
  kill(): Promise<void>;
}

/** Its `spec` lies in the folder. What fails is told by the next step. @throws SandboxError in each. */
export function comeAsHost(folder: string): Guest {
  const arch = process.arch === 'arm64' ? 'arm64' : 'x64';
  const host = spawn(findTool('perl') ?? 'perl', [SHIM, folder, arch, 'guest'], {
    stdio: ['pipe', 'pipe', 'pipe'],
    cwd: folder,
    env: { PATH: process.env.PATH ?? '' },
  });
  host.stdin.on('error', () => undefined); // It has ended: told by its end.
  let heard = '';
  let complaints = '';
  let wake = Promise.withResolvers<void>();
  const changed = (): void => {
    wake.resolve();
    wake = Promise.withResolvers();
  };
  host.stdout.on('data', (chunk: Buffer) => {
    heard += chunk.toString('latin1');
    changed();
  });
  host.stderr.on('data', (chunk: Buffer) => {
    complaints += chunk.toString('utf8');
  });
  let code: number | null | undefined;
  const ended = new Promise<void>(resolve => {
    host.once('error', error => {
      complaints += error.message;
      code = 1;
      changed();
      resolve();
    });
    host.once('close', status => {
      code ??= status ?? 1;
      changed();
      resolve();
    });
  });
  const hears = async (word: string): Promise<void> => {
    while (!heard.includes(`${word}\n`)) {
      if (code !== undefined)
        throw new SandboxError(
          `the sandbox could not be set up: ${complaints.trim() || 'its helper ended (is perl installed?)'}`,
        );
      await wake.promise;
    }
  };
  return {
    ready: () => hears('ready'),
    attach: async pid => {
      host.stdin.write(`${pid}\n`);
      await hears('attached');
    },
    go: async () => {
      host.stdin.end('go\n');
      await ended;
      if (code !== 0) throw new SandboxError(`the app's first process did not begin: ${complaints.trim()}`);
    },
    kill: async () => {
      host.kill('SIGKILL');
      await ended;
    },
  };
}

/** What the helper is to do. */
export const specFile = (folder: string): string => join(folder, 'spec');
