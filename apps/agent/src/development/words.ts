/** The launcher's words among the lines of a development app, as its log and the platform hear them. Who forges one deceives himself alone. */
import { LAUNCHER_MARK } from './launcher.ts';

export interface LauncherWord {
  /** Of the app itself, that stood before it on the same line. */
  readonly before: string;
  /** For its log. */
  readonly line: string;
  readonly isError: boolean;
  /** The newest change that is in place; null: it says nothing of one. */
  readonly applied: number | null;
}

const WORD = new RegExp(`^([\\s\\S]*)${LAUNCHER_MARK}(applied|restarted|incomplete|ended) (\\d{1,9})$`);

/** Null: a line like any other. */
export function launcherWord(line: string): LauncherWord | null {
  const [, before = '', word, digits] = WORD.exec(line) ?? [];
  if (word === undefined) return null;
  const number = Number(digits);
  const isError = word === 'incomplete' || (word === 'ended' && number !== 0);
  const applied = word === 'applied' || word === 'restarted' ? number : null;
  return { before, line: TEXTS[word as keyof typeof TEXTS](number), isError, applied };
}

const TEXTS = {
  applied: (change: number) => (change === 0 ? 'The command begins' : `Change ${change} is in place`),
  restarted: (change: number) => `Change ${change} is in place; the command begins anew`,
  incomplete: (change: number) =>
    `Change ${change} could not be put in place whole: the lines before say why. Push anew, or give the app more disk: -k 2G`,
  ended: (status: number) => `The command has ended with status ${status}. The next change starts it again`,
};
