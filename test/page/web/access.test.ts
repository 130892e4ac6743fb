// Rows of who may do what: none twice, and those that are looked for.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AccessPolicy } from '../../../src/page/answers/api.js';
import { accessRows, isNone, rowsWith } from '../../../src/page/web/access.js';

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
  const told = rows.map(({ kind, names, people = '' }) => `${kind} ${names.join('+')} ${people}`.trim());
  const listeners = ['listener support', 'listener support group support'];
  assert.deepEqual(told, [...listeners, 'account anna+bert', 'account cron', 'key anna']);
  assert.equal(rowsWith(rows, ' HELP bert ').length, 1);
  assert.equal(rowsWith(rows, '').length, rows.length);
  assert.equal(rowsWith(rows, 'nobody').length, 0);
});

void test('a column is left out only where nobody may anything of it, not even on request or by observing', () => {
  const cell = (commands: readonly string[], onRequest: readonly string[] = []) => {
    return { commands, onRequest, mayAll: false };
  };
  const rules = { allow: [], deny: [], onRequest: [], approvers: [], approve: [] };
  const empty = { place: '', users: [], except: [], limits: [], content: cell([]), ...rules };
  const policy = (name: string, isObserving: boolean, ...cells: AccessPolicy['cells']): AccessPolicy => {
    return { ...empty, name, isObserving, cells };
  };
  const policies = [
    policy('desk', false, cell(['quota get']), cell([]), cell([], ['kick'])),
    policy('jobs', false, cell([]), cell([]), cell([])),
    policy('unused', false, cell([]), cell(['stop']), cell([])),
  ];
  const rows = [account('anna', 'desk'), account('cron', 'jobs')];
  const areNone = (all: readonly AccessPolicy[]) =>
    [0, 1, 2].map((at) => isNone({ rows, policies: all }, at));
  assert.deepEqual(areNone(policies), [false, true, false]);
  const observing = policy('jobs', true, cell([]), cell([]), cell([]));
  assert.deepEqual(areNone([...policies, observing]), [false, false, false]);
});
