/** What a library says of a failure, as a sentence among ours: some end with a full stop and some do not. */
export function sentence(text: string): string {
  const said = text.trim();
  return /[.!?]$/.test(said) ? said : `${said}.`;
}
