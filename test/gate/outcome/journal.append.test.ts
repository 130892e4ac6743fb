import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EngineEvent } from '../../../src/gate/outcome/events.js';
import { appendQuietly } from '../../../src/gate/outcome/journal.js';
import { JournalFault } from '../../../src/host/ports/faults.js';
import type { Journal } from '../../../src/journal/records/appending.js';
import type { AuditRecord } from '../../../src/journal/records/record.js';

test('a record that does not get to the journal is told, and thrown at nobody', () => {
  const events: EngineEvent[] = [];
  const appended: AuditRecord[] = [];
  const journal: Journal = {
    state: 'writable',
    space: 'normal',
    isOverShare: () => false,
    refusal: undefined,
    isCrashProof: true,
    append(record) {
      appended.push(record);
      return appended.length === 1 ? undefined : new JournalFault('closed', 'it is closed');
    },
    appendDurable: () => assert.fail('nobody waits for it'),
    checkpoint: () => assert.fail('nobody waits for it'),
    close: () => Promise.resolve(),
  };
  const record = { time: 0, event: 'session-open' } as const;
  for (let n = 0; n < 2; n += 1) appendQuietly(journal, (event) => events.push(event), record);
  assert.deepEqual(appended, [record, record]);
  assert.deepEqual(events, [{ kind: 'audit-failed', level: 'error', text: 'it is closed' }]);
});
