// Goal: a text behind a command goes up whole or not at all, and a server that gives it up anywhere finds no command in it. Phases: what is
// sent; sources that fail or dawdle; servers that answer early, do not read, or are gone. What must not happen: a dot behind a broken
// text, a byte behind an early answer, a piece behind which a command could begin.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommandFailed, type CommandInput, SessionFault } from '../../src/client/client-command.js';

import { wholeBytesMax } from '../../src/host/ports/transport.js';
import { replyPacket } from '../kit/gate/memory-backend.js';
import { settle } from '../kit/plain/fake-clock.js';
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
      yield 'first\n';
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
  const rejected = assert.rejects(session.run({ ...save, input }), { code: 'input-failed' });
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

/** Line by line what a server does with it whose text ended in front of it: nothing. */
function isHarmless(line: string): boolean {
  const [flags = '', ...fields] = line.split('\t');
  return fields.length < 2 || /[^Dvx\x01]/.test(flags);
}

void test('every piece leaves whole, behind none begins a command, and half a line waits for its rest', async () => {
  const trap = '\tbob@example.org\tmailbox delete\tINBOX';
  const text = `half a line${trap}\n${trap}\n${'y'.repeat(40_000)}${trap}\r\n${`words${trap}\n`.repeat(5_000)}end${trap}`;
  for (const size of [7, 1_000, 65_536]) {
    const { session, peer } = openSession(3, { logs: false });
    let isFed = (): void => undefined;
    const fed = new Promise<void>((resolve) => (isFed = resolve));
    const input = (async function* () {
      yield `first\nhalf a line${trap}`;
      await fed;
      for (let at = `half a line${trap}`.length; at < text.length; at += size)
        yield text.slice(at, at + size);
    })();
    const before = session.run({ user: 'alice', name: 'mailbox list' });
    const rows = session.run({ ...save, input });
    await peer.receive((bytes) => bytes.includes('first\n'));
    await settle();
    assert.ok(!peer.received().includes('half'));
    isFed();
    const sent = (await peer.receive((bytes) => bytes.includes('\r\n.\r\n'))).toString();
    const ahead = sent.indexOf('\talice\tsave');
    assert.equal(Buffer.concat(peer.wholes).toString(), sent.slice(ahead));
    let at = ahead;
    for (const piece of peer.wholes) {
      assert.ok(piece.length <= wholeBytesMax);
      at += piece.length;
      const rest = sent.slice(at).split('\n', 1)[0] ?? '';
      assert.ok(isHarmless(rest), JSON.stringify({ size, rest }));
    }
    peer.send(replyPacket('\n+\n\n+\n'));
    await Promise.all([before, rows]);
  }
});

void test('behind a command that has not left yet the pieces are whole all the same', async () => {
  const { session, peer } = openSession(3, { logs: false });
  peer.setStopped(true);
  const before = session.run({ user: 'alice', name: 'mailbox list' });
  const rows = session.run({ ...save, input: 'line\n'.repeat(10_000) });
  await settle();
  peer.setStopped(false);
  const sent = await peer.receive((bytes) => bytes.includes('\r\n.\r\n'));
  assert.ok(sent.toString().endsWith(`\talice\tsave\n${Buffer.concat(peer.wholes).toString()}`));
  peer.send(replyPacket('\n+\n\n+\n'));
  await Promise.all([before, rows]);
});

void test('where pieces may be cut, a text with a line that could be a command is not sent, and its session ends', async () => {
  for (const rest of ['', '\nmore'.repeat(100_000)]) {
    const { session, peer, closedFor, clock } = openSession(2, {}, { keepsWhole: false });
    const input = slowly('first\n', `some words\tbob\tkick\tall${rest}`);
    await assert.rejects(session.run({ ...save, input }), {
      name: 'SessionFault',
      code: 'input-command-like',
    });
    assert.ok(!peer.received().includes('kick') && !peer.received().includes('\r\n.'));
    assert.deepEqual([closedFor(), peer.isReset, clock.timers], ['aborted', true, 0]);
  }
  const { session, peer } = openSession(2, {}, { keepsWhole: false });
  const rows = session.run({ ...save, input: 'Subject: x\n\n\tan ordinary\tletter\twith tabs\n' });
  await peer.receive((bytes) => bytes.includes('\r\n.\r\n'));
  peer.send(replyPacket('\n+\n'));
  assert.deepEqual(await rows, []);
});

void test('given up in the middle of a text: nothing more of it is sent', async () => {
  for (const isStopped of [false, true]) {
    const { session, peer, closedFor, clock } = openSession(2);
    const controller = new AbortController();
    let given = 0;
    const input = (async function* () {
      for (; given < 1_000; given += 1) yield `${'x'.repeat(999)}\n`;
      await new Promise(() => undefined);
    })();
    peer.setStopped(isStopped);
    const rejected = assert.rejects(session.run({ ...save, input, signal: controller.signal }), /enough/);
    if (isStopped) await settle();
    else await peer.receive((bytes) => bytes.length > 100_000);
    controller.abort(new Error('enough'));
    await rejected;
    const sent = peer.received().length;
    for (let turns = 0; turns < 3; turns += 1) await settle();
    assert.deepEqual([closedFor(), clock.timers, peer.received().length], ['aborted', 0, sent]);
    assert.ok(given < 1_000 && !peer.received().includes('\r\n.'));
  }
});
