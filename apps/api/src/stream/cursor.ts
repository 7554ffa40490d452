/** A place in the feed as clients see it: `REVISION:EPOCH`. Opaque to them. */
import type { Cursor } from '@cupola/store/store';

const FORM = /^(\d{1,15}):([\w@.-]{1,100})$/;

export const cursorText = ({ epoch, revision }: Cursor): string => `${revision}:${epoch}`;

/** Null for what is none: whoever brings it lists again. */
export function parseCursor(text: string): Cursor | null {
  const [, revision, epoch] = FORM.exec(text) ?? [];
  return revision === undefined || epoch === undefined ? null : { epoch, revision: Number(revision) };
}
