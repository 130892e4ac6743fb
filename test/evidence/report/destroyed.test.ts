// Goal: of commands that destroy, the mails that were counted before are summed: of all that may have run as the most that can be gone, of
// those that ended well as gone. What Dovecot was not asked of, and what reached no mail server, is no number of mails.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDestroyed } from '../../../src/evidence/report/destroyed.js';
import { row } from './sent.js';

void test('mails of commands that destroy are summed as far as they were counted', () => {
  const sums = createDestroyed();
  const line = 'expunge mailbox Trash all';
  for (const one of [
    row(line, { matches: 30 }),
    row(line, { matches: 0 }),
    row(line, { matches: 8, outcome: 'unknown' }),
    row(line, { matches: 5, outcome: 'failed' }),
    row(line),
    row('mailbox delete Old'),
    // None of these destroyed a mail.
    row(line, { matches: 90, decision: 'deny', sent: false, outcome: 'denied' }),
    row('quota get', { matches: 7 }),
    row(line, { matches: 60, for: 'E' }),
    { fields: { event: 'operator', effect: 'destroy', matches: 4 } },
  ])
    sums.take(one);
  assert.deepEqual(sums.finish(), { commands: 4, mailsMax: 43, mails: 30, uncounted: 2 });
});
