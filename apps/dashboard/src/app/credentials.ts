/** Credentials as people type them: one JSON object, or `name=value` a line. Pure. */
export function readCredentials(typed: string): { credentials: Record<string, unknown>; why: string | null } {
  const text = typed.trim();
  if (text.startsWith('{')) {
    try {
      return { credentials: JSON.parse(text) as Record<string, unknown>, why: null };
    } catch {
      return { credentials: {}, why: 'This is no JSON yet. Or write name=value, one a line.' };
    }
  }
  const lines = text.split('\n').filter(line => line.trim() !== '');
  const bad = lines.find(line => !/^\s*[\w.-]+\s*=/.test(line));
  if (bad !== undefined) return { credentials: {}, why: 'Write name=value, one a line, or a JSON object.' };
  const pairs = lines.map(line => {
    const at = line.indexOf('=');
    return [line.slice(0, at).trim(), line.slice(at + 1).trim()] as const;
  });
  return { credentials: Object.fromEntries(pairs), why: null };
}
