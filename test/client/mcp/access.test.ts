// Goal: access on request as tools: there are none unless the gate announces rules, and a call asked for is, word by word, the command that
// the same call sends. What must not happen: a request for something else than what the agent will send.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accessTools, cellsOfItem, readAccess, requestableRights } from '../../../src/client/mcp/access.js';
import { commandOf, commandTools } from '../../../src/client/mcp/tools.js';
import { rightsOfRows } from '../../../src/rules/answers/read-answer.js';
import type { AnswerRow } from '../../../src/rules/answers/rights.js';
import { accessItem } from '../../kit/gate/access-item.js';

const plain: readonly AnswerRow[] = [
  ['listener', 'support'],
  ['policy', 'support'],
  ['user', '*@example.org'],
  ['allow', 'quota get'],
  ['effect', 'read'],
];
const announced: readonly AnswerRow[] = [
  ...plain,
  ['on-request', 'fetch'],
  ['effect', 'read'],
  ['approvals', '1'],
  ['for', '2h'],
  ['scope', 'command'],
  ['uses', '1'],
  ['if', 'also what mails say'],
];

function toolsOf(rows: readonly AnswerRow[]) {
  const rights = rightsOfRows(rows) ?? assert.fail();
  const requestable = requestableRights(rows);
  return new Map(commandTools(rights, requestable).map((each) => [each.tool.name, each]));
}

void test('a gate that announces nothing has no tools for requests', () => {
  assert.deepEqual([...toolsOf(plain).keys()], ['quota_get']);
  assert.deepEqual(accessTools(requestableRights(plain).map(({ command }) => command)), []);
  const tools = toolsOf(announced);
  assert.deepEqual([...tools.keys()], ['fetch', 'quota_get']);
  assert.match(
    tools.get('fetch')?.tool.description ?? '',
    /only after request_access: approved by 1 person, for 2h, /,
  );
  assert.deepEqual(
    accessTools(['fetch']).map(({ name }) => name),
    ['request_access', 'request_status'],
  );
});

void test('a request is for the command that the same call sends', () => {
  const tools = toolsOf(announced);
  const call = { user: 'bob@example.org', field: ['uid', 'hdr.subject'], query: ['mailbox', 'INBOX', 'all'] };
  const reason = 'ticket 4711';
  const sent = commandOf(tools.get('fetch') ?? assert.fail(), { ...call, reason });
  assert.deepEqual(sent, {
    kind: 'command',
    command: {
      name: 'fetch',
      user: 'bob@example.org',
      args: ['--', 'uid hdr.subject', 'mailbox', 'INBOX', 'all'],
      dryRun: false,
    },
  });
  const asked = { tool: 'fetch', arguments: call, for_minutes: 30, uses: 2, reason };
  assert.deepEqual(readAccess('request_access', asked, tools), {
    kind: 'request',
    request: {
      user: 'bob@example.org',
      name: 'fetch',
      args: ['--', 'uid hdr.subject', 'mailbox', 'INBOX', 'all'],
      reason,
      forMs: 1_800_000,
      uses: 2,
    },
  });
  const wrong = [
    { ...asked, tool: 'expunge' },
    { ...asked, arguments: [] },
    { ...asked, arguments: { ...call, user: '*' } },
    { ...asked, arguments: { ...call, socketPath: '/x' } },
    { ...asked, for_minutes: '30m' },
    { ...asked, for_minutes: 0 },
    { ...asked, uses: 1.5 },
    // It would ask for more than the agent wants.
    { ...asked, for_minutes: undefined, minutes: 30 },
    { ...asked, ['__proto__x']: 1 },
  ];
  for (const given of wrong) assert.equal(readAccess('request_access', given, tools).kind, 'wrong');
  assert.equal(readAccess('request_status', { request: '01M8' }, tools).kind, 'wrong');
  assert.deepEqual(readAccess('request_status', { id: '01M8' }, tools), { kind: 'status', id: '01M8' });
});

void test('a request as a row', () => {
  const { state, users, used } = cellsOfItem(accessItem);
  assert.deepEqual([state, users, used], ['requested', '["bob@example.com"]', '0']);
});
