import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAuthReply } from '../../../src/gateway/lookup/auth-protocol.js';
import { WireFault } from '../../../src/ports/faults.js';
import { asExpected } from './captured.js';

const limits = { fieldsMax: 4 };
const parse = (line: string): unknown => asExpected(parseAuthReply(Buffer.from(line, 'latin1'), limits));

void test('every kind of line', () => {
  const cases: [string, unknown][] = [
    ['PASS\t1\tuser=a', { reply: 'PASS', id: 1, fields: [['user', 'a']] }],
    ['PASS\t1', { reply: 'PASS', id: 1, fields: [] }],
    ['USER\t4294967295\ta', { reply: 'USER', id: 4294967295, user: 'a', fields: [] }],
    ['USER\t0\ta\t', { reply: 'USER', id: 0, user: 'a', fields: [] }],
    ['USER\t0\ta=b\tuid=1', { reply: 'USER', id: 0, user: 'a=b', fields: [['uid', '1']] }],
    ['NOTFOUND\t3', { reply: 'NOTFOUND', id: 3 }],
    ['NOTFOUND\t3\tuser=x', { reply: 'NOTFOUND', id: 3 }],
    ['FAIL\t3', { reply: 'FAIL', id: 3 }],
    ['FAIL\t3\tcode=x', { reply: 'FAIL', id: 3 }],
    ['FAIL\t3\treason=', { reply: 'FAIL', id: 3, fields: [['reason', '']] }],
    ['LIST\t4\tbob', { reply: 'LIST', id: 4, user: 'bob' }],
    ['DONE\t4\t', { reply: 'DONE', id: 4, fail: false }],
    ['DONE\t4', { reply: 'DONE', id: 4, fail: false }],
    ['DONE\t4\tfail', { reply: 'DONE', id: 4, fail: true }],
    ['OK\t5\t12', { reply: 'OK', id: 5, args: ['12'] }],
  ];
  for (const [line, reply] of cases) assert.deepEqual(parse(line), reply, line);
});

void test('fields are cut at TAB, then at the first =, then unescaped, and empty ones are left out', () => {
  assert.deepEqual(parse('PASS\t1\t\tnologin\tk\x01te\x011y=a=b\x01tc\t'), {
    reply: 'PASS',
    id: 1,
    fields: [['nologin'], ['k\te\x01y', { hex: '613d620963' }]],
  });
  // Undone as Dovecot does it: SOH and another byte is that byte, and a SOH at the end is nothing.
  assert.deepEqual(parse('USER\t1\ta\x01x\x01'), { reply: 'USER', id: 1, user: 'ax', fields: [] });
  assert.deepEqual(parse('USER\t1\ta\x010b'), { reply: 'USER', id: 1, user: { hex: '610062' }, fields: [] });
});

void test('the reason of a failure goes to the end of the line, as it is', () => {
  assert.deepEqual(parse('FAIL\t1\treason=a\tb=c\x01t\t\t\t\t\t'), {
    reply: 'FAIL',
    id: 1,
    fields: [['reason', { hex: Buffer.from('a\tb=c\x01t\t\t\t\t\t').toString('hex') }]],
  });
});

void test('what is no reply is a fault that holds nothing of it', () => {
  const lines = [
    '',
    'PASS',
    'PASS\t',
    'PASS\tx',
    'PASS\t-1',
    'PASS\t1.5',
    'PASS\t 1',
    'PASS\t1e3',
    'PASS\t4294967296',
    'PASS\t00000000001',
    'pass\t1\tuser=secret',
    'PASSWORD\t1',
    'USER\t1',
    'USER\t1\t',
    'USER\t1\t\tuid=secret',
    'MECH\tPLAIN',
    'CUID\t1',
    'PASS\t1\ta\tb\tc\td\tsecret',
    '\0PASS\t1',
  ];
  for (const line of lines) {
    assert.throws(
      () => parse(line),
      (fault) => {
        assert.ok(fault instanceof WireFault, line);
        assert.equal(fault.code, 'bad-status');
        assert.doesNotMatch(fault.message, /secret/);
        return true;
      },
      JSON.stringify(line),
    );
  }
});

void test('a line may have so many fields and no more', () => {
  assert.deepEqual(parse('PASS\t1\ta\tb\tc\td'), {
    reply: 'PASS',
    id: 1,
    fields: [['a'], ['b'], ['c'], ['d']],
  });
  assert.throws(() => parse('PASS\t1\t\t\t\t\t'), WireFault); // empty ones cost as much
});
