/** By what somebody acts, in words for an audit event. Pure. */
import { isCliAgent } from './cli-agent.ts';

/** `NAME/VERSION`, the beginning of a User-Agent; both short, so that nobody writes a book into an event. */
const PRODUCT = /^([\w.-]{1,40})\/v?(\d[\w.]{0,19})/;

/** `cf 8.18.4`, `cupola 0.1.0`, `git`; null for what is neither a cf CLI nor ours. */
export function clientName(userAgent: string): string | null {
  const [, name = '', version = ''] = PRODUCT.exec(userAgent) ?? [];
  if (name === 'cupola-git') return 'git';
  return name !== '' && (name === 'cupola' || isCliAgent(userAgent)) ? `${name} ${version}` : null;
}
