// Which series a backend is of: what it announces, against what is configured.
// The rule: a backend of which neither says it is refused; a command read for the wrong series is a hole.

import type { Series } from '../../domain/commands/series.js';
import { UpstreamFault } from '../../ports/upstream-fault.js';

/** Minors 0 to 2 are 2.3, 3 and 4 are 2.4: measured on 2.3.13 to 2.4.5. */
function announcedSeries(serverMinor: number): Series {
  return serverMinor <= 2 ? '2.3' : '2.4';
}

/**
 * The series of a backend that announced `serverMinor` (undefined: no VERSION line).
 * Throws an UpstreamFault `version-unsupported` where nobody says it, or where both do and differ.
 */
export function seriesOfBackend(configured: Series | 'auto', serverMinor: number | undefined): Series {
  if (serverMinor === undefined) {
    if (configured !== 'auto') return configured;
    throw new UpstreamFault('version-unsupported', 'it names no version, and `series` is auto: set `series`');
  }
  const announced = announcedSeries(serverMinor);
  if (configured !== 'auto' && configured !== announced) {
    throw new UpstreamFault(
      'version-unsupported',
      `it is Dovecot ${announced}, but \`series\` says ${configured}`,
    );
  }
  return announced;
}
