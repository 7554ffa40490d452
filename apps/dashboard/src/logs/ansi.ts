/**
 * Colours of a log line, by an allow-list: a few attributes of SGR become a class each, anything else that begins with an escape is shown as the text that it
 * is, so that no line can hide, link or move anything (threats.md 27). Never HTML.
 */
export interface Span {
  text: string;
  /** Of our style sheet; empty for plain text. */
  className: string;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these characters are what is looked for.
const SGR = /\u001b\[([\d;]{0,32})m/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above.
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;
const COLOURS = ['', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', ''];

export function spansOf(line: string): Span[] {
  if (!line.includes('\u001b')) return [{ text: visible(line), className: '' }];
  const spans: Span[] = [];
  const style = { colour: '', bold: false, faint: false, underline: false };
  let from = 0;
  const push = (text: string): void => {
    if (text !== '') spans.push({ text: visible(text), className: classOf(style) });
  };
  for (const match of line.matchAll(SGR)) {
    push(line.slice(from, match.index));
    from = match.index + match[0].length;
    for (const code of (match[1] ?? '').split(';').map(Number)) apply(style, code);
  }
  push(line.slice(from));
  return spans;
}

/** The line without its colours: what is searched, copied and downloaded. */
export function plainText(line: string): string {
  return line.includes('\u001b') ? visible(line.replace(SGR, '')) : visible(line);
}

interface Style {
  colour: string;
  bold: boolean;
  faint: boolean;
  underline: boolean;
}

function apply(style: Style, code: number): void {
  if (code === 0) Object.assign(style, { colour: '', bold: false, faint: false, underline: false });
  else if (code === 1) style.bold = true;
  else if (code === 2) style.faint = true;
  else if (code === 4) style.underline = true;
  else if (code === 22) Object.assign(style, { bold: false, faint: false });
  else if (code === 24) style.underline = false;
  else if (code === 39) style.colour = '';
  else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) style.colour = COLOURS[code % 10] ?? '';
}

function classOf({ colour, bold, faint, underline }: Style): string {
  return [
    colour === '' ? '' : `ansi-${colour}`,
    bold ? 'ansi-bold' : '',
    faint ? 'ansi-faint' : '',
    underline ? 'ansi-underline' : '',
  ]
    .filter(name => name !== '')
    .join(' ');
}

/** Control characters as `cat -v` writes them, others without a form of their own (which turn the direction of reading) by their number. */
function visible(text: string): string {
  return text.replace(CONTROL, character => {
    const code = character.charCodeAt(0);
    if (code < 0x20) return `^${String.fromCharCode(0x40 + code)}`;
    return code === 0x7f ? '^?' : `<U+${code.toString(16).toUpperCase().padStart(4, '0')}>`;
  });
}
