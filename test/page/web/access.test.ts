// Rows of who may do what: none twice, and those that are looked for.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accessRows, rowsWith } from '../../../src/page/web/access.js';

const account = (name: string, policy: string) =>
  ({ kind: 'account', listener: 'desk', name, policy }) as const;

void test('names with the same rights in the same place are one row, and nothing stands there twice', () => {
  const listener = { kind: 'listener', listener: 'support', name: 'support', policy: 'read' } as const;
  const rows = accessRows({
    rows: [
      listener,
      listener,
      { ...listener, people: 'group support' },
      account('anna', 'helpdesk'),
      account('cron', 'jobs'),
      account('bert', 'helpdesk'),
      { ...account('anna', 'helpdesk'), kind: 'key' },
    ],
  });
  assert.deepEqual(
    rows.map(({ kind, names, people = '' }) => `${kind} ${names.join('+')} ${people}`.trim()),
    ['listener support', 'listener support group support', 'account anna+bert', 'account cron', 'key anna'],
  );
  assert.equal(rowsWith(rows, ' HELP bert ').length, 1);
  assert.equal(rowsWith(rows, '').length, rows.length);
  assert.equal(rowsWith(rows, 'nobody').length, 0);
});
