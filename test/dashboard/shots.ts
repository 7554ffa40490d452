/** Pictures for whoever wants to look a page over: light and dark, wide and narrow. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';

export const COLOURS = ['light', 'dark'] as const;
const WIDE = { width: 1_360, height: 900 };
const WIDTHS = [
  [WIDE.width, 'wide'],
  [400, 'narrow'],
] as const;

/** `FOLDER/NAME-COLOUR-WIDTH.png` of the whole page, in the colour that it has now. */
export async function shoot(page: Page, { folder, name }: { folder: string; name: string }): Promise<void> {
  mkdirSync(folder, { recursive: true });
  for (const [width, label] of WIDTHS) {
    await page.setViewportSize({ ...WIDE, width });
    await page.screenshot({ path: join(folder, `${name}-${label}.png`), fullPage: true });
  }
  await page.setViewportSize(WIDE);
}
