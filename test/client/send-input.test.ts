import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CommandInput } from '../../src/client/client-command.js';
import { CommandFailed, SessionFault } from '../../src/client/client-fault.js';
import { settle } from '../kit/fake-clock.js';
import { replyPacket } from '../kit/memory-backend.js';
import { openSession } from './opened.js';

async function* slowly(...pieces: string[]): AsyncGenerator<string> {
  for (const piece of pieces) {
    await Promise.resolve();
    yield piece;
  }
}

const save = { user: 'alice', name: 'save' };

void test('an input may be a text, bytes, a list or a stream, and is stuffed and ended', async () => {
  const inputs: CommandInput[] = ['a\n.b', Buffer.from('a\n.b'), ['a\n', '.b'], slowly('a', '\n', '.b')];
  for (const input of inputs) {
    const { session, peer } = openSession(2);
    const rows = session.run({ ...save, input });
    const behind = session.run({ user: 'alice', name: 'mailbox list' });
    await peer.receive((bytes) => bytes.includes('\r\n.\r\n'));
    assert.equal(peer.received().toString(), '\talice\tsave\n.a\n..b\r\n.\r\n');
    peer.send(replyPacket('\n+\n'));
    assert.deepEqual(await rows, []);
    await peer.receive((bytes) => bytes.includes('mailbox list\n'));
    peer.send(replyPacket('\n+\n'));
    await behind;
  }
});

void test('a source that fails sends no dot, and ends the session', async () => {
  const { session, peer, closedFor } = openSession(2);
  const input = (async function* () {
    yield 'half a mail';
    await Promise.resolve();
    throw new Error('disk');
  })();
  await assert.rejects(session.run({ ...save, input }), (fault) => {
    assert.ok(fault instanceof SessionFault);
    assert.equal(fault.code, 'input-failed');
    assert.match(String(fault.cause), /disk/);
    return true;
  });
  assert.ok(!peer.received().includes('\r\n.'));
  assert.equal(closedFor(), 'aborted');
});

void test('an answer before the dot stops the text and ends the session: the rest would be run as commands', async () => {
  const { session, peer, closedFor } = openSession(3, { logs: false });
  let isLeft = false;
  const input = (async function* () {
    try {
      yield 'first';
      await new Promise(() => undefined);
    } finally {
      isLeft = true;
    }
  })();
  const rows = session.run({ ...save, args: ['--bogus'], input });
  await peer.receive((bytes) => bytes.includes('first'));
  peer.send(replyPacket('\n-USAGE\n'));
  await assert.rejects(rows, CommandFailed);
  await settle();
  assert.equal(closedFor(), 'not-reusable');
  assert.ok(peer.isReset);
  assert.ok(!peer.received().includes('\r\n.'));
  assert.equal(isLeft, false, 'it is in the middle of a wait of its own');
});

void test('an input that takes too long ends the session before the server would', async () => {
  const { session, clock, closedFor } = openSession(2, { inputTimeMs: 5_000 });
  const input = (async function* () {
    yield 'x';
    await new Promise(() => undefined);
  })();
  const rejected = assert.rejects(
    session.run({ ...save, input }),
    (fault) => fault instanceof SessionFault && fault.code === 'input-failed',
  );
  await settle();
  await clock.advance(5_000);
  await rejected;
  assert.equal(closedFor(), 'aborted');
  assert.equal(clock.timers, 0);
});

void test('a server that does not read stops the source', async () => {
  const { session, peer } = openSession(2);
  let given = 0;
  const input = (async function* () {
    for (; given < 100; given += 1) yield Buffer.alloc(32_768, 'x');
    await Promise.resolve();
  })();
  peer.setStopped(true);
  const rows = session.run({ ...save, input });
  await settle();
  assert.ok(given < 5, String(given));
  peer.setStopped(false);
  await peer.receive((bytes) => bytes.includes('\r\n.\r\n'));
  peer.send(replyPacket('\n+\n'));
  await rows;
  assert.equal(given, 100);
});
