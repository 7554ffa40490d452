/** SQLite takes 32,766 parameters in a statement; far fewer keep its text small. */
const CHUNK = 500;

/** What `read` gives for each part of a list that may be too long for one statement, put together. */
export async function inChunks<T>(guids: readonly string[], read: (some: string[]) => Promise<T[]>): Promise<T[]> {
  const found: T[] = [];
  for (let from = 0; from < guids.length; from += CHUNK) found.push(...(await read(guids.slice(from, from + CHUNK))));
  return found;
}
