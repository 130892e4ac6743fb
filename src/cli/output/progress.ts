// Progress of a long command in one redrawn line of a terminal: bytes, rows, time. Shown after 2 s, and only on a terminal.

import type { Clock } from '../../ports/clock.js';

export interface Progress {
  sent(bytes: number): void;
  received(bytes: number): void;
  row(): void;
  /** Erases the line; call it before other output and at the end. */
  clear(): void;
}

const quietMs = 2_000;
const everyMs = 500;

/** `write`: to the terminal; undefined: there is none. */
export function createProgress(clock: Clock, write: ((text: string) => void) | undefined): Progress {
  const startMs = clock.now();
  let drawnMs = startMs + quietMs - everyMs;
  let isShown = false;
  let sent = 0;
  let received = 0;
  let rows = 0;
  const draw = (): void => {
    const nowMs = clock.now();
    if (write === undefined || nowMs - drawnMs < everyMs) return;
    drawnMs = nowMs;
    isShown = true;
    const parts = [
      ...(sent > 0 ? [`${formatBytes(sent)} sent`] : []),
      ...(received > 0 ? [`${formatBytes(received)}, ${rows} rows`] : []),
      `${Math.round((nowMs - startMs) / 1000)} s`,
    ];
    write(`\r\x1b[K${parts.join(', ')}`);
  };
  return {
    sent(bytes) {
      sent += bytes;
      draw();
    },
    received(bytes) {
      received += bytes;
      draw();
    },
    row() {
      rows += 1;
    },
    clear() {
      if (isShown) write?.('\r\x1b[K');
      isShown = false;
    },
  };
}

function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} bytes`;
  if (bytes < 1024 ** 2) return `${(bytes / 1024).toFixed(1)} KiB`;
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}
