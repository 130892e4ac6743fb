// Lets several replies share one peer: rows of each go out whole and as they come, one after the other, and none of their status
// lines does. Rows have no mark; a row is so many cells, each ended by a TAB.
// The rule: what is not a whole row is kept back, so that a reply that breaks off never shifts the rows of another.

import { WireFault } from '../../protocol/wire-fault.js';
import type { RelayTarget } from './reply-writer.js';

const tab = 0x09;
const plus = 0x2b;
/** The longest row that is kept back. Stops a backend that never ends a row from taking our memory. */
const rowBytesMax = 4 * 1024 * 1024;

/** Where one of the replies goes. `cells`: of each of its rows, at least 1. Throws a WireFault where it has no whole rows. */
export function createRowJoiner(target: RelayTarget, cells: number): RelayTarget {
  /** The start of a row. */
  let kept: Buffer[] = [];
  let keptBytes = 0;
  let left = cells;
  return {
    addBody(bytes) {
      let at = 0;
      let whole = 0;
      for (;;) {
        const end = bytes.indexOf(tab, at);
        if (end < 0) break;
        at = end + 1;
        left -= 1;
        if (left > 0) continue;
        left = cells;
        whole = at;
      }
      if (whole > 0) {
        for (const part of kept) target.addBody(part);
        target.addBody(bytes.subarray(0, whole));
        kept = [];
        keptBytes = 0;
      }
      if (whole === bytes.length) return;
      kept.push(bytes.subarray(whole));
      keptBytes += bytes.length - whole;
      if (keptBytes > rowBytesMax)
        throw new WireFault('bad-frame', 'a row above the limit of joined replies');
    },
    addLog: (type, text) => target.addLog(type, text),
    addRawStatus(line) {
      // What is kept back is lost: the reply was not whole, or its rows are not what we take them for.
      if (line[0] === plus && (left !== cells || keptBytes > 0)) {
        throw new WireFault('bad-frame', 'a reply that succeeded ended within a row');
      }
    },
    flush: (unsentBytesMax) => target.flush(unsentBytesMax),
    get takenBytes() {
      return target.takenBytes;
    },
  };
}

/** Where a reply goes whose rows nobody can count: as it comes, without its status. No other may be joined meanwhile. */
export function createStatusKeeper(target: RelayTarget): RelayTarget {
  return {
    addBody: (bytes) => target.addBody(bytes),
    addLog: (type, text) => target.addLog(type, text),
    addRawStatus: () => undefined,
    flush: (unsentBytesMax) => target.flush(unsentBytesMax),
    get takenBytes() {
      return target.takenBytes;
    },
  };
}
