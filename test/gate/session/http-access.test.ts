// A body about access becomes the words of an own command, or it is refused: no member is ignored, and none can be taken for an option.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AccessPath, readAccess } from '../../../src/gate/session/http-access.js';

function wordsOf(path: AccessPath, body: unknown): readonly string[] | string {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const read = readAccess(path, Buffer.from(text));
  return 'bad' in read ? read.bad : read.line.words;
}

void test('a tag is the name of the request in the records, and no word of it', () => {
  const read = readAccess('requests', Buffer.from('{"tag":"mcp-0123:a.b"}'));
  assert.ok(!('bad' in read));
  assert.deepEqual([read.line.words, read.tag], [['dovegate requests'], 'mcp-0123:a.b']);
  for (const tag of ['a b', 'x'.repeat(65), 7])
    assert.match(String(wordsOf('requests', { tag })), /"tag" is/);
});

void test('members become options, and the command follows them', () => {
  const asked = {
    users: ['bob@example.com', '-A'],
    for: '1h',
    uses: 3,
    reason: '--uses=9',
    command: ['fetch', '--', 'uid', 'all'],
  };
  assert.deepEqual(wordsOf('request', asked), [
    'dovegate request',
    '--user=bob@example.com',
    '--user=-A',
    '--for=1h',
    '--uses=3',
    '--reason=--uses=9',
    '--',
    ...asked.command,
  ]);
  assert.deepEqual(wordsOf('grant', { to: 'anna@support', users: 'bob', command: ['who'] }), [
    'dovegate grant',
    '--to=anna@support',
    '--user=bob',
    '--',
    'who',
  ]);
  assert.deepEqual(wordsOf('approve', { id: '-x' }), ['dovegate approve', '--', '-x']);
  assert.deepEqual(wordsOf('requests', ''), ['dovegate requests']);
  assert.deepEqual(wordsOf('requests', {}), ['dovegate requests']);
  assert.deepEqual(wordsOf('requests', { id: '01K' }), ['dovegate access', '--', '01K']);
});

void test('what is no such object is refused', () => {
  for (const body of [
    '[]',
    '"x"',
    '{',
    '3',
    { id: {} },
    { uses: 1.5 },
    { for: ['1h'] },
    { users: [1] },
    { command: ['fetch', 1] },
    { usess: 1 },
    '{"__proto__": {"id": "x"}}',
  ])
    assert.equal(typeof wordsOf('request', body), 'string', JSON.stringify(body));
  assert.match(String(wordsOf('approve', { usess: 1 })), /no member "usess"/);
  assert.ok('bad' in readAccess('request', Buffer.from([0x7b, 0xff, 0x7d])));
});
