/** Guids come from senders: nothing else may become a path or a key. */
export const isAppGuid = (text: string): boolean => /^[\w-]{1,100}$/.test(text);

/** @throws TypeError */
export function assertAppGuid(text: string): void {
  if (!isAppGuid(text)) throw new TypeError(`"${text}" is no app's guid`);
}
