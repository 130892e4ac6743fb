import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAuthReply } from '../../../src/gateway/lookup/auth-protocol.js';
import { WireFault } from '../../../src/ports/faults.js';
import { asExpected } from './captured.js';

const limits = { fieldsMax: 4 };
const parse = (line: string): unknown => asExpected(parseAuthReply(Buffer.from(line, 'latin1'), limits));

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
