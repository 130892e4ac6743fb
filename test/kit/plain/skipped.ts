/** What a test needs cannot be had here, and why. */
export interface Skipped {
  readonly skip: string;
}

export const isRoot = process.getuid?.() === 0;

/** Throws where nothing may be skipped: with DOVEGATE_NO_SKIP=1. */
export function skipped(skip: string): Skipped {
  if (process.env['DOVEGATE_NO_SKIP'] === '1') throw new Error(`skipping is forbidden: ${skip}`);
  return { skip };
}

/** The options of a test that needs root: `onlyRoot('can be several users')`. */
export function onlyRoot(can: string): Partial<Skipped> {
  return isRoot ? {} : skipped(`only root ${can}`);
}
