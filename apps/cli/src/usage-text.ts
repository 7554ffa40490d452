/** What commander says of a command line that it does not understand, in the form of every other failure, and without cf's short names as guesses. */

/** Of a short name; `us` for `pus` is no help. */
const SHORT_MAX = 2;

export function usageText(said: string): string {
  return said.replace(/^error: /, '').replace(/\(Did you mean (?:one of )?(.*)\?\)/, (_, names: string) => {
    const near = names.split(', ').filter(name => name.length > SHORT_MAX);
    return near.length === 0 ? '' : `(Did you mean ${near.join(', or ')}?)`;
  });
}
