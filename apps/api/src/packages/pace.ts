/** Whether the bytes of an upload still come fast enough: a sender that stalls, or trickles, would hold a file and a connection for ever. */
import { PUSH_LIMITS } from '@cupola/model/limits';

/** Under this many bytes a second, over `uploadStallMs`, an upload is cut (ours: failure-rules.md 4). */
const BYTES_PER_SECOND_MIN = 1_024;

/** Called now and then with all bytes so far; false once the last 60 s brought less than 1 KiB a second. */
export function createPace(startedMs: number): (bytes: number, nowMs: number) => boolean {
  const windowMs = PUSH_LIMITS.uploadStallMs;
  const needed = (BYTES_PER_SECOND_MIN * windowMs) / 1_000;
  let looks = [{ bytes: 0, atMs: startedMs }];
  return (bytes, nowMs) => {
    looks.push({ bytes, atMs: nowMs });
    const newestBefore = looks.findLastIndex(({ atMs }) => atMs <= nowMs - windowMs);
    if (newestBefore < 0) return true;
    looks = looks.slice(newestBefore);
    return bytes - (looks[0]?.bytes ?? 0) >= needed;
  };
}
