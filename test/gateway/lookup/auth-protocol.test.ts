import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AuthDialogue, type AuthEvent } from '../../../src/gateway/lookup/auth-protocol.js';
import { WireFault, type WireFaultCode } from '../../../src/ports/faults.js';
import { countWork } from '../../kit/work.js';

const limits = { lineBytesMax: 64, fieldsMax: 8 };

function read(text: string): AuthEvent[] {
  const dialogue = new AuthDialogue(limits);
  const events = dialogue.push(Buffer.from(text, 'latin1'));
  assert.equal(dialogue.pendingBytes, 0);
  return events;
}

function assertFault(text: string, code: WireFaultCode): void {
  assert.throws(
    () => read(text),
    (fault) => fault instanceof WireFault && fault.code === code,
    JSON.stringify(text),
  );
}

const greeting = 'VERSION\t1\t4\nSPID\t25893\n';
const greeted = { kind: 'greeted' } as const;

void test('CRLF is LF, and a minor that nobody knows is one', () => {
  assert.deepEqual(read('VERSION\t1\t4\r\nSPID\t25893\r\nNOTFOUND\t3\r\n')[0], greeted);
  assert.deepEqual(read('VERSION\t1\t4294967295\nSPID\t1\n'), [greeted]);
});

void test('a first line that is no VERSION of major 1', () => {
  for (const line of [
    'VERSION\t2\t0',
    'VERSION\t1',
    'VERSION\t1\t',
    'VERSION\t1\t4294967296',
    'VERSION\t1\t4\t',
    'VERSION\tauth-master\t1\t1',
    'VERSION\tdoveadm-client\t1\t4',
    'version\t1\t1',
    'SPID\t1',
    '* OK [CAPABILITY IMAP4rev1] Dovecot ready.',
    '',
    '-',
  ]) {
    assertFault(`${line}\n`, 'bad-version');
  }
});

void test('the line behind VERSION must be SPID; else the listener is of the wrong type, and nothing else is read', () => {
  for (const line of [
    'MECH\tPLAIN\tplaintext',
    'SPID',
    'SPID\tx',
    'SPID\t1\t2',
    'CUID\t1',
    'NOTFOUND\t1',
    '',
  ]) {
    const dialogue = new AuthDialogue(limits);
    const events = dialogue.push(Buffer.from(`VERSION\t1\t2\n${line}\nSPID\t1\nDONE\nNOTFOUND\t1\npart`));
    assert.deepEqual(events, [{ kind: 'wrong-type' }], line);
    assert.deepEqual(dialogue.push(Buffer.alloc(1000)), []);
    assert.equal(dialogue.pendingBytes, 0);
  }
  // Without a mechanism the SASL protocol begins with SPID too.
  for (const line of ['CUID\t1', 'COOKIE\tab', 'DONE', 'MECH\tPLAIN\tplaintext']) {
    assert.deepEqual(read(`VERSION\t1\t2\nSPID\t25893\n${line}\nCUID\t1\n`), [
      greeted,
      { kind: 'wrong-type' },
    ]);
  }
  assert.equal(read(`${greeting}DONE\t1\t\n`)[1]?.kind, 'reply');
  assertFault(`${greeting}NOTFOUND\t1\nCUID\t1\n`, 'bad-status');
});

// bounds.lookupLineBytes, bounds.lookupFields
void test('faults', () => {
  assertFault(`${greeting}HELLO\t1\n`, 'bad-status');
  assertFault('x'.repeat(65), 'line-too-long');
  assertFault(`${greeting}PASS\t1\tuser=${'x'.repeat(64)}\n`, 'line-too-long');
  assertFault(`${greeting}PASS\t1\t${'\t'.repeat(30)}\n`, 'bad-status');
});

void test('a long reply in small chunks costs what it is long', () => {
  const workOf = (bytes: number): number => {
    const line = Buffer.from(`${greeting}PASS\t1\tnote=${'x'.repeat(bytes)}\n`);
    const dialogue = new AuthDialogue({ lineBytesMax: 1_000_000, fieldsMax: 8 });
    return countWork(() => {
      for (let at = 0; at < line.length; at += 1) dialogue.push(line.subarray(at, at + 1));
    });
  };
  const [short, long] = [workOf(10_000), workOf(80_000)];
  assert.ok(long < short * 12, `${short} and ${long}`);
});
