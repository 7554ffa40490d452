/** What a start needs to know of an image's root filesystem that lies here. Loaded with the first image that runs here. */
import { type ImageUser, imageUser } from '@cupola/images/rootfs/image-user';
import { fileWithin, folderWithin } from '@cupola/images/rootfs/within';
import type { ImageConfig } from '@cupola/model/run-spec';
import { SandboxError } from '@cupola/sandbox/sandbox';

export interface ImageFacts {
  root: string;
  user: ImageUser;
  /** Where the command begins: what the image says, if it has that. */
  folder: string;
  hasBash: boolean;
}

/** @throws SandboxError for a user that it does not have. */
export function imageFacts(root: string, { user, folder }: ImageConfig): ImageFacts {
  try {
    return {
      root,
      user: imageUser(root, user),
      folder: folderWithin(root, folder, { make: false }) === null ? '/' : folder,
      hasBash: fileWithin(root, '/bin/bash') !== null,
    };
  } catch (error) {
    throw new SandboxError((error as Error).message, { cause: error });
  }
}
