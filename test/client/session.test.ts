import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommandFailed, SessionFault } from '../../src/client/client-command.js';
import { logPacket, replyPacket } from '../kit/gate/memory-backend.js';
import { settle } from '../kit/plain/fake-clock.js';
import { openSession, quota } from './opened.js';

function isFault(code: string, mayHaveRun?: boolean): (fault: unknown) => boolean {
  return (fault) => {
    assert.ok(fault instanceof SessionFault, String(fault));
    assert.equal(fault.code, code);
    if (mayHaveRun !== undefined) assert.equal(fault.mayHaveRun, mayHaveRun);
    return true;
  };
}

void test('run gives rows, however the reply is cut', async () => {
  const reply = Buffer.concat([
    replyPacket('User quota\tSTO'),
    replyPacket('RAGE\t1\x01'),
    replyPacket('t2\t-\t0\tUser quota\tMESSAGE\t\t-\t0\t\n+'),
    replyPacket('\n'),
  ]);
  for (const size of [1, 2, 7, 1000]) {
    const { session, peer } = openSession(2);
    const rows = session.run(quota);
    for (let from = 0; from < reply.length; from += size) peer.send(reply.subarray(from, from + size));
    assert.deepEqual(await rows, [
      ['User quota', 'STORAGE', '1\t2', '-', '0'],
      ['User quota', 'MESSAGE', '', '-', '0'],
    ]);
    assert.equal(peer.received().toString(), '\talice\tquota get\n');
  }
});

void test('from minor 3 on log lines are asked for, and are told to the listener and with the failure', async () => {
  const { session, peer, logs } = openSession(3);
  const rows = session.run(quota);
  peer.send(Buffer.concat([logPacket('error', 'no such'), replyPacket('\n-NOUSER\n')]));
  await assert.rejects(rows, (fault) => {
    assert.ok(fault instanceof CommandFailed);
    assert.equal(fault.code, 'NOUSER');
    assert.deepEqual(fault.logs, [{ type: 'error', text: 'no such', isCut: false }]);
    return true;
  });
  assert.deepEqual(logs, [{ type: 'error', text: 'no such', isCut: false }]);
  assert.equal(peer.received().toString(), '\t\tOPTION\tlog-passthrough\n\talice\tquota get\n');
});

void test('commands go out without waiting, and replies come back in their order', async () => {
  const { session, peer } = openSession(3, { logs: false });
  const all = [0, 1, 2].map((n) => session.run({ user: 'alice', name: 'mailbox list', args: [String(n)] }));
  await settle();
  assert.equal(peer.received().toString().split('\n').length, 4);
  peer.send(replyPacket('a\t\n+\nb\t\n+\nc\t\n+\n'));
  assert.deepEqual(await Promise.all(all), [[['a']], [['b']], [['c']]]);
});

void test('a failure does not disturb the commands behind it, but ends a session with a server of 2.3', async () => {
  for (const minor of [3, 2]) {
    const { session, peer, closedFor } = openSession(minor, { logs: false });
    const one = session.run(quota);
    const other = session.run({ user: 'alice', name: 'mailbox list' });
    await settle();
    // A server of 2.3 may answer twice, so it is asked one thing at a time.
    assert.equal(peer.received().toString().split('\n').length - 1, minor === 3 ? 2 : 1);
    peer.send(replyPacket(`\n-NOUSER\n${minor === 3 ? 'a\t\n+\n' : '\n-\n'}`));
    await assert.rejects(one, CommandFailed);
    if (minor === 3) assert.deepEqual(await other, [['a']]);
    else await assert.rejects(other, isFault('closed', false));
    assert.equal(closedFor(), minor === 3 ? undefined : 'not-reusable');
  }
});

void test('nothing is read that nobody asked for: a slow reader holds one chunk', async () => {
  const { session, peer } = openSession(2);
  const rows = session.stream({ user: 'alice', name: 'mailbox list' })[Symbol.asyncIterator]();
  await settle();
  for (let n = 0; n < 5; n += 1) peer.send(replyPacket(`box${n}\t`));
  peer.send(replyPacket('\n+\n'));
  const first = await rows.next();
  assert.deepEqual(first.value, ['box0']);
  // The rest waits in the transport.
  const names: unknown[] = [];
  for (let next = await rows.next(); next.done !== true; next = await rows.next()) names.push(next.value[0]);
  assert.deepEqual(names, ['box1', 'box2', 'box3', 'box4']);
});

void test('to leave a loop early ends the session, and who waits behind it hears so', async () => {
  const { session, peer, closedFor, clock } = openSession(3);
  const rows = session.stream({ user: 'alice', name: 'mailbox list' });
  const behind = session.run(quota);
  peer.send(replyPacket('a\tb\t'));
  for await (const row of rows) {
    assert.deepEqual(row, ['a']);
    break;
  }
  await assert.rejects(behind, isFault('closed', true));
  assert.equal(closedFor(), 'aborted');
  assert.equal(clock.timers, 0);
  await assert.rejects(session.run(quota), isFault('closed', false));
});

void test('an aborted command that waits its turn is never sent; one that was sent ends the session', async () => {
  const { session, peer, closedFor } = openSession(2);
  const first = session.run(quota);
  const waiting = new AbortController();
  const second = session.run({ user: 'bob', name: 'mailbox list', signal: waiting.signal });
  waiting.abort(new Error('changed my mind'));
  await assert.rejects(second, /changed my mind/);
  peer.send(replyPacket('\n+\n'));
  assert.deepEqual(await first, []);
  assert.ok(!peer.received().includes('bob'));

  const running = new AbortController();
  const third = session.run({ ...quota, signal: running.signal });
  await settle();
  running.abort(new Error('enough'));
  await assert.rejects(third, /enough/);
  assert.equal(closedFor(), 'aborted');
  assert.ok(peer.isReset);
});

void test('a signal that has aborted already sends nothing', async () => {
  const { session, peer } = openSession(2);
  await assert.rejects(session.run({ ...quota, signal: AbortSignal.abort(new Error('no')) }), /no/);
  await settle();
  assert.equal(peer.received().length, 0);
});

void test('the end of the session before a status may mean that the command has run', async () => {
  const { session, peer } = openSession(2);
  const rows = session.run(quota);
  peer.send(replyPacket('User'));
  peer.end();
  await assert.rejects(rows, isFault('closed-early', true));
});

void test('silence ends a reply', async () => {
  const { session, clock, closedFor } = openSession(2, { replyIdleMs: 1_000 });
  const rejected = assert.rejects(session.run(quota), isFault('reply-timeout', true));
  await settle();
  await clock.advance(1_000);
  await rejected;
  assert.equal(closedFor(), 'reply-timeout');
});

void test('bytes that nobody asked for, or that break the framing, end the session', async () => {
  for (const bytes of [replyPacket('\n+\nextra\t'), Buffer.from('\0\xff\xff\xff\xff', 'latin1')]) {
    const { session, peer, closedFor } = openSession(2);
    const rows = session.run(quota);
    peer.send(bytes);
    await rows.catch(isFault('wire-fault', true));
    await assert.rejects(session.run(quota), isFault('closed'));
    assert.equal(closedFor(), 'wire-fault');
  }
});

void test('what is no table is one cell', async () => {
  const { session, peer } = openSession(2);
  const rows = session.run({ name: 'user', args: ['alice'] });
  peer.send(replyPacket('{"alice":{"uid":"5000"}}\n+\n'));
  assert.deepEqual(await rows, [['{"alice":{"uid":"5000"}}']]);
});

void test('rows that lack cells, and rows above the limit, are refused', async () => {
  const short = openSession(2);
  const rows = short.session.run(quota);
  short.peer.send(replyPacket('a\tb\t\n+\n'));
  await assert.rejects(rows, { code: 'unexpected-reply', mayHaveRun: true });
  const long = openSession(2, { replyBytesMax: 10 });
  const more = long.session.run({ user: 'alice', name: 'mailbox list' });
  long.peer.send(replyPacket('123456\t123456\t'));
  await assert.rejects(more, { code: 'unexpected-reply', mayHaveRun: true });
  assert.equal(long.closedFor(), 'aborted');
});

void test('long values come in pieces', async () => {
  const { session, peer } = openSession(2);
  const pieces: [string, boolean][] = [];
  peer.send(replyPacket('abc'));
  peer.send(replyPacket('def\tg\t\n+\n'));
  const command = { user: 'alice', name: 'fetch', args: ['text', 'all'] };
  for await (const { bytes, endsCell } of session.cells(command)) pieces.push([bytes.toString(), endsCell]);
  assert.deepEqual(pieces, [
    ['abc', false],
    ['def', true],
    ['g', true],
  ]);
});

void test('close leaves nothing behind, and tells whoever waits', async () => {
  const { session, closedFor, clock } = openSession(3);
  const rows = session.run(quota);
  await settle();
  await session.close();
  await assert.rejects(rows, isFault('closed', true));
  assert.equal(closedFor(), 'draining');
  assert.equal(clock.timers, 0);
  await session.close();
});

void test('a reason goes before its command, and only to a server that knows reasons', async () => {
  const { session, peer } = openSession(3, { logs: false });
  void session.run({ ...quota, reason: 'ticket 7' }).catch(() => undefined);
  await settle();
  assert.equal(peer.received().toString(), '\t\tOPTION\tdovegate-reason=ticket 7\n\talice\tquota get\n');
  await session.close();
  const old = openSession(2);
  await assert.rejects(old.session.run({ ...quota, reason: 'x' }), isFault('unsendable', false));
  assert.equal(old.peer.received().length, 0);
});

void test('what cannot be sent as it is, is not sent', async () => {
  const { session, peer } = openSession(2);
  for (const args of [['a\0b'], ['\ud800']])
    await assert.rejects(session.run({ ...quota, args }), isFault('unsendable'));
  await settle();
  assert.equal(peer.received().length, 0);
});

void test('a listener that throws ends the session', async () => {
  const { session, peer, closedFor } = openSession(2, {
    onLog: () => {
      throw new Error('mine');
    },
  });
  const rows = session.run(quota);
  peer.send(logPacket('info', 'x'));
  await assert.rejects(rows, /mine/);
  assert.equal(closedFor(), 'internal');
});

void test('a tag goes before its command, is checked, and not sent to a server that would answer it', async () => {
  const { session, peer } = openSession(0, { serverMinor: 3 });
  void session.run({ ...quota, tag: 'bulk-0a.1:2' }).catch(() => undefined);
  await settle();
  assert.equal(peer.received().toString(), '\t\tOPTION\tdovegate-tag=bulk-0a.1:2\n\talice\tquota get\n');
  for (const tag of ['', 'a b', 'x'.repeat(65), 'a\tb', '"'])
    assert.throws(() => session.stream({ ...quota, tag }), TypeError, tag);
  const old = openSession(0, { serverMinor: 2 });
  void old.session.run({ ...quota, tag: 'x' }).catch(() => undefined);
  await settle();
  assert.equal(old.peer.received().toString(), '\talice\tquota get\n');
});

void test('a frame, or a status, that is too long ends the session', async () => {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(16 * 1024 ** 2 + 1, 1);
  const status = replyPacket(`\n-${'X'.repeat(8192)}`);
  for (const bytes of [head, status]) {
    const { session, peer, closedFor } = openSession(2);
    const rows = session.run(quota);
    peer.send(bytes);
    await assert.rejects(rows, isFault('wire-fault', true));
    assert.equal(closedFor(), 'wire-fault');
  }
});

void test('log lines are cut, and so many are kept for a failure', async () => {
  const { session, peer } = openSession(3);
  const rows = session.run(quota);
  peer.send(logPacket('error', 'x'.repeat(65_536 + 1)));
  for (let n = 0; n < 64; n += 1) peer.send(logPacket('error', `line ${n}`));
  peer.send(replyPacket('\n-NOUSER\n'));
  await assert.rejects(rows, (fault) => {
    assert.ok(fault instanceof CommandFailed);
    const [first] = fault.logs;
    const kept = [fault.logs.length, first?.isCut, (first?.text.length ?? 0) <= 65_536];
    assert.deepEqual(kept, [64, true, true]);
    return true;
  });
});
