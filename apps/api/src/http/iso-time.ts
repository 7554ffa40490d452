/** Times as Cloud Controller writes them: UTC, whole seconds, `2026-01-31T09:00:00Z`. */
export function isoTime(epochMs: number): string {
  // Milliseconds and `Z` are always the last five characters.
  return `${new Date(epochMs).toISOString().slice(0, -5)}Z`;
}
