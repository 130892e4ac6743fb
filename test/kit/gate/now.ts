// What a daemon tells its page first, and a state of the page with nothing in it.

import type { DoorHead } from '../../../src/gate/door/door.js';
import type { Now } from '../../../src/gate/now/now.js';

export const doorHead: DoorHead = {
  generation: 1,
  host: 'gate',
  version: '1.2.3',
  started: '1970-01-01T00:00:01.000Z',
  directory: '/audit',
  journal: 'J',
  ownKey: 'KEY',
};

export const emptyNow: Now = {
  at: '2026-11-21T02:14:00.000Z',
  head: {
    host: 'gate',
    version: '1',
    state: 'serving',
    since: '2026-11-21T02:14:00.000Z',
    started: '2026-11-21T02:14:00.000Z',
    configHash: 'abc',
    policies: { seen: 'p1', served: 'p1' },
    loaded: { since: '2026-11-21T02:14:00.000Z', files: [] },
    problems: [],
  },
  tiles: {
    perSecond: 0,
    history: [],
    failed: 0,
    denied: 0,
    waiting: 0,
    oldestWaitMs: 0,
    journal: { state: 'writable', seq: 1, unsyncedMs: 0, receivers: [] },
  },
  running: [],
  runningCount: 0,
  waitingCount: 0,
  troubles: [],
  troublesSince: '2026-11-21T02:14:00.000Z',
  backends: [],
};
