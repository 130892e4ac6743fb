import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { answerOf, parseAuthReply, type QuestionKind } from '../../../src/gateway/lookup/auth-protocol.js';

const answer = (asked: QuestionKind, line: string): ReturnType<typeof answerOf> =>
  answerOf(asked, parseAuthReply(Buffer.from(line, 'latin1'), { fieldsMax: 64 }));

void test('a found user, with the fields by which he is routed', () => {
  assert.deepEqual(answer('pass', 'PASS\t1\tuser=Bob\tproxy\thost=mail2\thostip=192.0.2.2\tport=24245'), {
    kind: 'found',
    user: 'Bob',
    fields: new Map([
      ['proxy', ''],
      ['host', 'mail2'],
      ['hostip', '192.0.2.2'],
      ['port', '24245'],
    ]),
  });
  assert.deepEqual(answer('user', 'USER\t1\tbob@example.org\tuid=1\thome=/srv/bob'), {
    kind: 'found',
    user: 'bob@example.org',
    fields: new Map(),
  });
});

void test('passwords, and all fields that are not known, are gone', () => {
  const found = answer(
    'pass',
    'PASS\t1\tuser=a\tpass=hop-secret\tproxy=y\tmaster=admin\tforward_token=hop-secret\tPASS=hop-secret\tnote=hop-secret',
  );
  assert.doesNotMatch(inspect(found, { depth: 9 }), /hop-secret|686f702d/);
  assert.deepEqual(found, { kind: 'found', user: 'a', fields: new Map([['proxy', 'y']]) });
});

void test('not found, and failures', () => {
  assert.deepEqual(answer('pass', 'NOTFOUND\t1'), { kind: 'not-found' });
  assert.deepEqual(answer('user', 'FAIL\t1\treason=db down'), { kind: 'failed', code: 'auth-failed' });
  assert.deepEqual(answer('user', 'FAIL\t1'), { kind: 'failed', code: 'auth-failed' });
  assert.deepEqual(answer('pass', "FAIL\t1\treason=Configured passdbs don't support credentials lookups"), {
    kind: 'failed',
    code: 'passdb-unsupported',
  });
});

void test('a name or an address that is no sound text is no answer', () => {
  for (const line of [
    'PASS\t1',
    'PASS\t1\thost=x',
    'PASS\t1\tuser',
    'PASS\t1\tuser=',
    'PASS\t1\tuser=\xff',
    'PASS\t1\tuser=a\x010b',
    'PASS\t1\tuser=a\x01nb',
    'PASS\t1\tuser=a\thost=\xc3',
    'PASS\t1\tuser=a\thost=a\x01tb',
  ]) {
    assert.deepEqual(answer('pass', line), { kind: 'failed', code: 'bad-answer' }, JSON.stringify(line));
  }
  assert.deepEqual(answer('user', 'USER\t1\ta\x010'), { kind: 'failed', code: 'bad-answer' });
  // What is dropped is not looked at.
  assert.equal(answer('pass', 'PASS\t1\tuser=a\tnote=\xff\x01n')?.kind, 'found');
});
