/** Times and sizes as people read them. */
const MIB = 1024 * 1024;

/** `42 s`, `7 min`, `3 h`, `12 d`: one unit, the larger one. */
export function shortDuration(seconds: number): string {
  if (seconds < 60) return `${Math.max(0, Math.floor(seconds))} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

export function megabytes(bytes: number): string {
  const mb = bytes / MIB;
  return mb < 10 ? mb.toFixed(1) : String(Math.round(mb));
}

/** `256M`, `2G`, as CF's clients write it. */
export function memory(mb: number): string {
  return mb >= 1_024 && mb % 1_024 === 0 ? `${mb / 1_024}G` : `${mb}M`;
}

/** `13:04:05.678` in this browser's time. */
export function clock(ms: number): string {
  const at = new Date(ms);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, '0')}`;
}
