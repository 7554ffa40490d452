/**
 * Log lines that are JSON, as people read them: the message first, the rest behind it; and spread out over lines when somebody looks closer. Pure. What was
 * escaped in the JSON comes out of it as it is, so each text goes through `plainText` again (threats.md 27).
 */
import { plainText } from './ansi.ts';

export interface Folded {
  /** `error`, `warn`, or nothing that matters. */
  level: 'error' | 'warn' | '';
  message: string;
  rest: string;
}

const MESSAGES = ['msg', 'message', 'event'];
const LEVELS = ['level', 'severity', 'lvl'];
/** The row says when it was. */
const TIMES = ['time', 'timestamp', 'ts', '@timestamp'];
/** Pino's and bunyan's numbers. */
const WARN_FROM = 40;
const ERROR_FROM = 50;

/** Null: it is no JSON object. */
export function foldJson(line: string): Folded | null {
  const object = objectOf(line);
  if (object === null) return null;
  const messageKey = MESSAGES.find(key => typeof object[key] === 'string');
  const levelKey = LEVELS.find(key => ['string', 'number'].includes(typeof object[key]));
  const rest = Object.entries(object)
    .filter(([key]) => key !== messageKey && key !== levelKey && !TIMES.includes(key))
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return {
    level: levelKey === undefined ? '' : levelOf(object[levelKey]),
    message: messageKey === undefined ? '' : plainText(String(object[messageKey])),
    rest: plainText(rest.join(' ')),
  };
}

/** The object over several lines; none where the line is no JSON object. */
export function unfoldJson(line: string): string[] {
  const object = objectOf(line);
  return object === null ? [] : JSON.stringify(object, null, 2).split('\n').map(plainText);
}

function objectOf(line: string): Record<string, unknown> | null {
  const text = line.trim();
  if (!text.startsWith('{') || !text.endsWith('}')) return null;
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return null; // A line that only looks like it.
  }
}

function levelOf(level: unknown): Folded['level'] {
  if (typeof level === 'number') return level >= ERROR_FROM ? 'error' : level >= WARN_FROM ? 'warn' : '';
  if (/^(err|error|fatal|crit|critical|panic|alert|emerg)/i.test(String(level))) return 'error';
  return /^warn/i.test(String(level)) ? 'warn' : '';
}
