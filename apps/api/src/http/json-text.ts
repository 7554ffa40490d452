/** JSON that is text already: what is shown often and changes rarely is not made anew for each answer. */

/** A list whose entries are JSON in UTF-8. As the value of a key of a reply's body it is sent as a list. */
export class JsonTexts {
  readonly texts: readonly Buffer[];

  constructor(texts: readonly Buffer[]) {
    this.texts = texts;
  }
}

const COMMA = Buffer.from(',');

/** The body as JSON in UTF-8; of its own keys, some may hold `JsonTexts`. */
export function jsonOf(body: unknown): Buffer {
  if (!isRecord(body) || !Object.values(body).some(value => value instanceof JsonTexts))
    return Buffer.from(JSON.stringify(body));
  const parts: Buffer[] = [];
  let text = '{';
  for (const [key, value] of Object.entries(body)) {
    const json = value instanceof JsonTexts ? '[' : JSON.stringify(value);
    if (json === undefined) continue;
    text += `${text.endsWith('{') && parts.length === 0 ? '' : ','}${JSON.stringify(key)}:${json}`;
    if (!(value instanceof JsonTexts)) continue;
    parts.push(Buffer.from(text));
    for (const [index, one] of value.texts.entries()) parts.push(...(index === 0 ? [one] : [COMMA, one]));
    text = ']';
  }
  return Buffer.concat([...parts, Buffer.from(`${text}}`)]);
}

const isRecord = (body: unknown): body is Record<string, unknown> =>
  typeof body === 'object' && body !== null && Object.getPrototypeOf(body) === Object.prototype;

/** JSON texts of things that were shown lately, each with what it was made of. */
export interface ShownTexts<Row extends object> {
  /** The text that `show` makes of this row and what is beside it, made anew unless all of that is what it was last time. */
  textOf(guid: string, made: { of: Row; beside: readonly unknown[] }, show: () => unknown): Buffer;
}

/** Remembers `max` things. Of a row `show` may use these columns, and no other ones. */
export function createShownTexts<Row extends object>(
  columns: ReadonlyArray<keyof Row>,
  { max }: { max: number },
): ShownTexts<Row> {
  const known = new Map<string, { values: readonly unknown[]; beside: readonly unknown[]; text: Buffer }>();
  return {
    textOf: (guid, { of, beside }, show) => {
      const before = known.get(guid);
      if (
        before !== undefined &&
        columns.every((column, index) => before.values[index] === of[column]) &&
        beside.every((value, index) => before.beside[index] === value)
      )
        return before.text;
      const text = Buffer.from(JSON.stringify(show()));
      known.delete(guid);
      known.set(guid, { values: columns.map(column => of[column]), beside, text });
      const oldest = known.keys().next().value;
      if (known.size > max && oldest !== undefined) known.delete(oldest);
      return text;
    },
  };
}
