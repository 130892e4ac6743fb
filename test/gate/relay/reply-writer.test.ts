// Goal: a peer of each minor gets rows, log lines and status lines in its framing and in their order, in one write a group.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RefusalCell, ReplyWriter } from '../../../src/gate/relay/reply-writer.js';
import { createDemux, framingBetween } from '../../kit/plain/framing.js';
import { createMemoryTransport } from '../../kit/plain/memory-transport.js';

/** A writer for a minor, and what reached its peer so far: text by channel, in pieces of one channel each. */
function open(minor: number, refusalCell: RefusalCell = false) {
  const { transport, peer } = createMemoryTransport();
  const writer = new ReplyWriter(transport, minor, refusalCell);
  const arrived = (): string[] => {
    const pieces: { channel: number; text: string }[] = [];
    for (const { channel, bytes } of createDemux(framingBetween(minor, minor)).push(peer.received())) {
      const last = pieces.at(-1);
      if (last?.channel === channel) last.text += String(bytes);
      else pieces.push({ channel, text: String(bytes) });
    }
    return pieces.map(({ channel, text }) => `${channel === 0 ? 'out' : 'log'} ${text}`);
  };
  return { transport, peer, writer, arrived };
}

const minors = [0, 1, 2, 3, 4];

for (const minor of minors) {
  void test(`minor ${minor}: a log line goes in front of the status, to whom may have it`, () => {
    const { writer, arrived } = open(minor);
    assert.equal(writer.hasLogChannel, minor === 1 || minor === 2);
    writer.addBody(Buffer.from('a\tb\t'));
    writer.addLog('error', 'one\ntwo');
    writer.addRawStatus(Buffer.from('-NOUSER'));
    assert.deepEqual(arrived(), [], 'nothing leaves before the flush');
    assert.equal(writer.flush(0), undefined);
    const hasLog = minor === 1 || minor === 2;
    assert.deepEqual(
      arrived(),
      hasLog ? ['out a\tb\t', 'log \x04one\n\x04two\n', 'out \n-NOUSER\n'] : ['out a\tb\t\n-NOUSER\n'],
    );
    writer.passLogs();
    assert.equal(writer.hasLogChannel, minor > 0);
    writer.addLog('info', 'more');
    writer.addStatus('');
    assert.equal(writer.flush(0), undefined);
    assert.equal(arrived().includes('log \x02more\n'), minor > 0);
    assert.match(arrived().at(-1) ?? '', /\n\+\n$/);
  });
}

void test('bytes of the output channel are counted as the client sees them, framing and logs not', () => {
  for (const minor of minors) {
    const { writer } = open(minor);
    writer.addBody(Buffer.from('12345\t'));
    assert.equal(writer.bytesOut, 6);
    writer.addRawStatus(Buffer.from('-NOUSER'));
    assert.equal(writer.bytesOut, 15);
    writer.addStatus('TEMPFAIL');
    assert.equal(writer.bytesOut, 15 + '\n-TEMPFAIL\n'.length);
    writer.addLog('error', 'x');
    assert.equal(writer.bytesOut, 26);
    void writer.flush(0);
    assert.equal(writer.bytesOut, 26);
  }
});

void test('`all`: each empty reply has one empty cell for minor 0; one with rows, and other minors, have none', () => {
  for (const minor of minors) {
    const { writer, arrived } = open(minor, 'all');
    writer.addStatus('');
    writer.addRawStatus(Buffer.from('-NOUSER'));
    writer.addBody(Buffer.from('a\t'));
    writer.addStatus('');
    assert.equal(writer.flush(0), undefined);
    const cell = minor === 0 ? '\t' : '';
    assert.equal(arrived().join(''), `out ${cell}\n+\n${cell}\n-NOUSER\na\t\n+\n`);
  }
});

void test('a refusal is one cell for minor 0 where the listener says so, and not after rows; for other minors it never is', () => {
  const said = { code: 'denied', sentence: 'denied (no rule\tallows\n"x")' } as const;
  const cell = 'dovegate: denied (no rule\x01tallows "x") [denied]\t';
  for (const [minor, asked] of minors.flatMap((each) => [[each, true] as const, [each, 'all'] as const])) {
    for (const isPassed of [false, true]) {
      const { writer, arrived } = open(minor, asked);
      if (isPassed) writer.passLogs();
      writer.refuse(said, 'NOPERM');
      assert.equal(writer.flush(0), undefined);
      const answer = arrived().at(-1);
      assert.equal(answer, minor === 0 ? `out ${cell}\n-NOPERM\n` : 'out \n-NOPERM\n');
      assert.equal(arrived().length, writer.hasLogChannel ? 2 : 1);
    }
  }
  const { writer, arrived } = open(0, true);
  writer.addBody(Buffer.from('a\t'));
  writer.refuse(said, 'TEMPFAIL');
  writer.refuse(said, 'TEMPFAIL');
  assert.equal(writer.flush(0), undefined);
  assert.deepEqual(arrived(), [`out a\t\n-TEMPFAIL\n${cell}\n-TEMPFAIL\n`]);
  const other = open(0);
  other.writer.refuse(said, 'NOPERM');
  assert.equal(other.writer.flush(0), undefined);
  assert.deepEqual(other.arrived(), ['out \n-NOPERM\n']);
});
