/** What a test needs cannot be had here, and why. */
export interface Skipped {
  readonly skip: string;
}

/** Throws where nothing may be skipped: with DOVEGATE_NO_SKIP=1. */
export function skipped(skip: string): Skipped {
  if (process.env['DOVEGATE_NO_SKIP'] === '1') throw new Error(`skipping is forbidden: ${skip}`);
  return { skip };
}
