/** The lines of a watch (internal.ts), cut out of the chunks that they come in. */
const NEWLINE = 10;

/**
 * @param said each line, without its newline; empty ones, which only show that the other end lives, are left out.
 * @returns what takes the next chunk. It throws once a line is longer than `maxBytes`.
 */
export function watchLines(maxBytes: number, said: (text: string) => void): (chunk: Buffer) => void {
  let parts: Buffer[] = [];
  let length = 0;
  return chunk => {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, from)) {
      parts.push(chunk.subarray(from, at));
      const text = Buffer.concat(parts).toString();
      parts = [];
      length = 0;
      from = at + 1;
      if (text !== '') said(text);
    }
    parts.push(chunk.subarray(from));
    length += chunk.length - from;
    if (length > maxBytes) throw new Error(`a line of the watch is longer than ${maxBytes} bytes`);
  };
}
