/**
 * A Docker engine that makes networks of its own has the kernel drop whatever it does not forward itself, on the whole machine: no sandbox would reach the
 * outside, whatever our rules say. It keeps a chain for those who know better, which it asks first and leaves alone; what we let through there is still judged
 * by our own rules. Engines start and stop while we run, so it is looked at again and again.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { findTool } from './rungs.ts';

const run = promisify(execFile);
const CHAIN = 'DOCKER-USER';
/** An engine that has just been installed, or is started after us, is seen by then (ours). */
const LOOK_MS = 60_000;

export interface DockerFirewall {
  /** `remove`: our rules go too. */
  close(options: { remove: boolean }): Promise<void>;
}

/** @param linkPrefix what the host's ends of our pairs begin with. */
export async function openDockerFirewall(
  linkPrefix: string,
  log: { info(facts: object, text: string): void; warn(facts: object, text: string): void },
): Promise<DockerFirewall> {
  const tool = findTool('iptables');
  // Then no engine has made rules with it either.
  if (tool === null) return { close: async () => undefined };
  const iptables = async (...args: string[]): Promise<string> => (await run(tool, ['--wait', '5', ...args])).stdout;
  const rules = [`-i ${linkPrefix}+ -j ACCEPT`, `-o ${linkPrefix}+ -j ACCEPT`];
  const there = async (): Promise<string[] | null> => {
    const text = await iptables('--list-rules', CHAIN).catch(() => null); // No such chain: no engine that makes networks.
    return text === null ? null : rules.filter(rule => text.includes(`-A ${CHAIN} ${rule}\n`));
  };
  const look = async (): Promise<void> => {
    const known = await there();
    if (known === null) return;
    for (const rule of rules.filter(each => !known.includes(each))) {
      await iptables('--insert', CHAIN, ...rule.split(' '));
      log.info({ rule }, `sandboxes pass the chain ${CHAIN} of this machine's Docker engine`);
    }
  };
  const lookOrSay = (): Promise<void> =>
    look().catch((error: unknown) =>
      log.warn({ err: error }, 'Docker on this machine may keep sandboxes from the outside'),
    );
  await lookOrSay();
  const timer = setInterval(() => void lookOrSay(), LOOK_MS);
  timer.unref();
  return {
    close: async ({ remove }) => {
      clearInterval(timer);
      if (!remove) return;
      for (const rule of (await there()) ?? []) await iptables('--delete', CHAIN, ...rule.split(' '));
    },
  };
}
