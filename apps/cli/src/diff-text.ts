/** Pure: what `cupola diff` has found out, in words. */
import { plural } from '@cupola/push/text';

export interface ManifestChange {
  readonly op: 'add' | 'replace' | 'remove';
  /** Below the app: `env/KEY`, `processes/0/memory`. */
  readonly path: string;
  /** Null: nothing was there. */
  readonly was: unknown;
  readonly value: unknown;
}

export interface AppDiff {
  readonly name: string;
  readonly isNew: boolean;
  readonly settings: readonly ManifestChange[];
  /** Null: none, or the same. */
  readonly image: { readonly was: string | null; readonly value: string } | null;
  /** Null: an image is run. */
  readonly files: {
    readonly folder: string;
    /** The files of the app as it is; or only which contents the platform knows; an archive is compared with nothing. */
    readonly against: 'last push' | 'contents' | 'nothing';
    readonly added: readonly string[];
    readonly changed: readonly string[];
    readonly removed: readonly string[];
    /** Of which the platform does not know the content. */
    readonly unknown: readonly string[];
  } | null;
}

/** More of a kind are counted (ours: a screen). */
const NAMED_MAX = 20;

export function isChanged({ isNew, settings, image, files }: AppDiff): boolean {
  if (isNew || settings.length > 0 || image !== null) return true;
  return files !== null && [files.added, files.changed, files.removed, files.unknown].some(({ length }) => length > 0);
}

export function diffText(app: AppDiff): string {
  const lines = [
    ...(app.image === null ? [] : [`  ~ image: ${app.image.was ?? 'none'} -> ${app.image.value}`]),
    ...app.settings.map(settingText),
    ...filesText(app.files),
  ];
  const head = app.isNew ? `${app.name} is not there yet: a push makes it.` : `${app.name}:`;
  if (!isChanged(app)) return `${app.name}: a push would change nothing${basis(app.files)}.`;
  return [head, ...lines].join('\n');
}

function basis(files: AppDiff['files']): string {
  return files?.against === 'contents' ? ', as far as contents tell (it was pushed from elsewhere last)' : '';
}

function settingText({ op, path, was, value }: ManifestChange): string {
  const name = path.replaceAll('/', '.');
  if (op === 'add') return `  + ${name}: ${short(value)}`;
  if (op === 'remove') return `  - ${name}: ${short(was)}`;
  return `  ~ ${name}: ${short(was)} -> ${short(value)}`;
}

function short(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function filesText(files: AppDiff['files']): string[] {
  if (files === null) return [];
  const { added, changed, removed, unknown, against } = files;
  const named = (sign: string, all: readonly string[], what: string): string[] => [
    ...all.slice(0, NAMED_MAX).map(path => `  ${sign} ${path}`),
    ...(all.length > NAMED_MAX
      ? [`  ${sign} and ${plural(all.length - NAMED_MAX, 'more file', 'more files')} ${what}`]
      : []),
  ];
  const lines = [
    ...named('+', added, 'that are new'),
    ...named('~', changed, 'that have changed'),
    ...named('-', removed, 'that are gone'),
    ...named('?', unknown, 'new or changed'),
  ];
  if (lines.length === 0) return [];
  const note = {
    'last push': '',
    contents: ' (by content: it was not pushed from here last, so what is gone cannot be told)',
    nothing: ' (an archive is sent as it is)',
  };
  return [`  files of ${files.folder}${note[against]}`, ...lines];
}
