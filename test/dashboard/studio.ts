/** Takes pictures of the dashboard: for docs as WebP, which only Chromium's own protocol writes; for review as PNG. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Locator, Page } from 'playwright-core';
import { ROOT } from '../platform.ts';
import { COLOURS, shoot } from './shots.ts';

const IMAGES = join(ROOT, 'docs/images');
const QUALITY = 80;
/** What a reader of docs has to load for each. */
const BYTES_MAX = 60 * 1_024;
/** Nothing is below the fold: places on the page are those in the window. */
const TALL_PX = 4_000;
/** Below a sheet, as in page.css. */
const GAP_PX = 18;

type Area = { x: number; y: number; width: number; height: number };

export interface Look {
  name: string;
  /** Of the window. */
  width?: number;
  /** Of the picture; else all of what is shown. */
  height?: number;
  colour?: (typeof COLOURS)[number];
  /** This part of the page alone; else its top. */
  part?: Locator;
  /** Not further down than this, and the gap below it. */
  end?: Locator;
}

/** Writes `docs/images/NAME.webp`. */
export async function takePicture(page: Page, look: Look): Promise<void> {
  const { name, width = 1_280, colour = 'light', part, end, height = TALL_PX } = look;
  await page.emulateMedia({ colorScheme: colour });
  await page.setViewportSize({ width, height: TALL_PX });
  await rest(page);
  const area = part === undefined ? { x: 0, y: 0, width, height } : await areaOf(part);
  const below = end === undefined ? TALL_PX : bottomOf(await areaOf(end)) + GAP_PX - area.y;
  const session = await page.context().newCDPSession(page);
  const { data } = await session.send('Page.captureScreenshot', {
    format: 'webp',
    quality: QUALITY,
    clip: { ...area, height: Math.min(area.height, height, below), scale: 1 },
  });
  await session.detach();
  const bytes = Buffer.from(data, 'base64');
  if (bytes.length > BYTES_MAX) throw new Error(`${name}.webp has ${bytes.length} bytes, more than ${BYTES_MAX}`);
  writeFileSync(join(IMAGES, `${name}.webp`), bytes);
  console.log(`${name}.webp: ${bytes.length} bytes`);
}

/** On whole pixels: between two a border is a blur. */
async function areaOf(part: Locator): Promise<Area> {
  const box = await part.boundingBox();
  if (box === null) throw new Error(`there is no ${part}`);
  const [x, y] = [Math.floor(box.x), Math.floor(box.y)];
  return { x, y, width: Math.ceil(box.x + box.width) - x, height: Math.ceil(box.y + box.height) - y };
}

const bottomOf = ({ y, height }: Area): number => y + height;

/** Nothing is pointed at, and fonts and graphs are drawn. */
async function rest(page: Page): Promise<void> {
  await page.mouse.move(0, 0);
  await page.evaluate(
    `document.fonts.ready.then(() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))))`,
  );
}

/** `FOLDER/NAME-COLOUR-WIDTH.png`: all of the page that is open. */
export async function review(
  page: Page,
  { folder, name }: { folder: string | undefined; name: string },
): Promise<void> {
  if (folder === undefined) return;
  for (const colorScheme of COLOURS) {
    await page.emulateMedia({ colorScheme });
    await shoot(page, { folder, name: `${name}-${colorScheme}` });
  }
}
