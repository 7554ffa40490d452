/** One layer of an image, laid over those below it. Loaded with the first image that runs here. */
import { openPlain } from '@cupola/images/rootfs/decompress';
import { unpackLayer } from '@cupola/images/rootfs/unpack-layer';

/** Answers how many bytes its files have. @throws Error for what is no layer, or has more than `maxBytes`. */
export function unpackImageLayer(
  file: string,
  { content, ownerUid, maxBytes }: { content: string; ownerUid: number | null; maxBytes: number },
): Promise<number> {
  return unpackLayer(openPlain(file), content, { ofImage: { owner: ownerUid }, maxBytes });
}
