import { useEffect, useState } from 'react';

const SHOWN_MS = 1_500;

/** Copies a text; says so for a moment, to screen readers too. */
export function Copy({ text, what }: { text: string; what: string }) {
  const [done, setDone] = useState(false);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(false), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [done]);
  return (
    <button
      type="button"
      className="copy"
      aria-label={`Copy ${what}`}
      onClick={() => void copyText(text).then(() => setDone(true))}
    >
      <span aria-live="polite">{done ? 'copied' : 'copy'}</span>
    </button>
  );
}

/** Over plain HTTP at another name than localhost, browsers give pages no clipboard: then the old way, by a selection. */
async function copyText(text: string): Promise<void> {
  if (navigator.clipboard !== undefined) return navigator.clipboard.writeText(text);
  const field = document.createElement('textarea');
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand('copy');
  field.remove();
}
