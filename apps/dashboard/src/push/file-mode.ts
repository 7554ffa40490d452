/** What was executable is not known to a browser: scripts are, by their first two bytes, and what can be run by its place. */
export function modeOf(path: string, bytes: Uint8Array): number {
  const [a, b, c] = bytes;
  const isScript = a === 0x23 && b === 0x21;
  const isElf = a === 0x7f && b === 0x45 && c === 0x4c;
  return isScript || isElf || /(^|\/)bin\/[^/.]+$/.test(path) ? 0o755 : 0o644;
}
