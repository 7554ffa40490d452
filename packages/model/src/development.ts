/**
 * Development apps (`cupola dev`): an app of its own, never one that serves anybody else, whose files are changed where it runs. What a change may be, and what
 * one of the app's files means to what runs.
 */

/**
 * All ours. `changeMaxBytes`: of one change's tar; more is a push's work. `changesMax`, `changesMaxBytes`: between two builds; an instance that starts anew takes
 * each in turn, and they lie on its cell. `pathsMax`: files and folders of one change. `hours`: without a change for so long an app is deleted. `perUserMax`: apps
 * of one person in one space.
 */
export const DEVELOPMENT_LIMITS = {
  changeMaxBytes: 64 * 1024 * 1024,
  changesMax: 500,
  changesMaxBytes: 512 * 1024 * 1024,
  pathsMax: 10_000,
  pathMaxCharacters: 1_024,
  hoursDefault: 24,
  hoursMax: 720,
  perUserMax: 10,
} as const;

/** The entry of a change's tar that lists what is gone: a path a line, below the app's folder, each a file or a folder with all in it. */
export const REMOVED_ENTRY = 'removed';
/** The entry, empty, of a change after which the app's processes are to be started anew. */
export const RESTART_ENTRY = 'restart';
/** The folder of a change's tar whose content goes over the app's. Always there, maybe empty. */
export const FILES_ENTRY = 'files';

/** Of a name in a folder (Linux: NAME_MAX); other systems count otherwise. */
const NAME_MAX_BYTES = 255;

/** As UTF-8. */
function bytesOf(text: string): number {
  let bytes = 0;
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return bytes;
}

/** A path that a change may name: relative, below the app's folder, and a line of its own. */
export function isChangePath(path: string): boolean {
  if (path === '' || path.length > DEVELOPMENT_LIMITS.pathMaxCharacters) return false;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
  if (/[\u0000-\u001f\u007f]/.test(path)) return false;
  return path.split('/').every(part => part !== '' && part !== '.' && part !== '..' && bytesOf(part) <= NAME_MAX_BYTES);
}
