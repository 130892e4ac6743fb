// Records of locks as the gate makes them, for the tests of the journal and of its readers.

import { formatTime } from '../../../src/host/words/instants.js';
import type { LockRecord } from '../../../src/journal/records/record.js';

type Change = Partial<Omit<LockRecord, 'event' | 'action'>>;

function lock(action: string, id: string, time: number, change: Change): LockRecord {
  return { time, event: 'lock', action, lock: id, ...change };
}

/** Of a person, for an hour. */
export function locked(id: string, time: number, change: Change = {}): LockRecord {
  const until = formatTime(time + 3_600_000);
  const of = { to: 'carol', identities: ['person:carol', 'uid:1002', 'key:carol'] };
  const about = { by: 'root', peer: { uid: 0 }, reason: 'her laptop was stolen', duration_ms: 3_600_000 };
  return lock('locked', id, time, { ...about, ...of, until, ...change });
}

/** Of a mail user, without an end. */
export function held(id: string, time: number, change: Change = {}): LockRecord {
  const about = { by: 'root', peer: { uid: 0 }, reason: 'case 17', user: 'bob@example.org' };
  return lock('held', id, time, { ...about, ...change });
}

export function unlockAsked(id: string, time: number, change: Change = {}): LockRecord {
  const until = formatTime(time + 86_400_000);
  const about = {
    by: 'anna',
    user: 'bob@example.org',
    identities: ['page:anna'],
    reason: 'it is over',
    until,
  };
  return lock('unlock-asked', id, time, { ...about, ...change });
}

export function unlocked(id: string, time: number): LockRecord {
  return lock('unlocked', id, time, { by: 'root', peer: { uid: 0 }, to: 'carol', reason: 'it was found' });
}

export function lockExpired(id: string, time: number): LockRecord {
  return lock('expired', id, time, { to: 'carol' });
}
