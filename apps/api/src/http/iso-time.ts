/** Times as Cloud Controller writes them: UTC, whole seconds, `2026-01-31T09:00:00Z`. */
export function isoTime(epochMs: number): string {
  return new Date(epochMs).toISOString().replace(/\.\d{3}Z$/, 'Z');
}
