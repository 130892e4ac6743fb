// A store of either kind, from its place.

import type { Clock } from '../ports/machine.js';
import type { ObjectStore } from '../ports/store.js';
import { openBucket } from './bucket.js';
import { openFolder } from './folder.js';

export type StorePlace =
  | { readonly kind: 'bucket'; readonly url: string }
  | { readonly kind: 'folder'; readonly path: string };

export interface StoreTarget {
  readonly place: StorePlace;
  readonly prefix: string;
  /** Needed for a bucket. */
  readonly credentialsFile?: string | undefined;
  readonly caFile?: string | undefined;
}

export function openStore(
  { place, prefix, credentialsFile = '', caFile }: StoreTarget,
  clock: Clock,
): ObjectStore {
  if (place.kind === 'folder') return openFolder(place.path, prefix);
  return openBucket({ url: place.url, prefix, credentialsFile, caFile, clock });
}
