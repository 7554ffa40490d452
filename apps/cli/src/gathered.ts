/** Something that is done after changes: for those of a moment once, never twice at a time, and once more for what came while it was done. */

export interface Gathered {
  /** There was a change. */
  soon(): void;
  /** Nothing more begins; resolves when what is under way has ended. */
  end(): Promise<void>;
}

/** @param act after each first change in `ms`. Must not reject. */
export function gathered(ms: number, act: () => Promise<void>): Gathered {
  let timer: NodeJS.Timeout | undefined;
  let isWanted = false;
  let acting: Promise<void> | null = null;
  const begin = async (): Promise<void> => {
    await act();
    acting = null;
    if (!isWanted) return;
    isWanted = false;
    soon();
  };
  const soon = (): void => {
    if (acting !== null) isWanted = true;
    else
      timer ??= setTimeout(() => {
        timer = undefined;
        acting = begin();
      }, ms);
  };
  return {
    soon,
    end: async () => {
      clearTimeout(timer);
      isWanted = false;
      await acting;
    },
  };
}
