// Goal: bytes both ways behind a good status, and a plain reply where there is none. Phases: refusals; bytes at every cutting; either side
// ends, breaks, stalls or is silent. What must not happen: a byte of the client's at the backend before its `+`, a word of ours
// within the bytes, an upstream that stays.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Ending } from '../../../src/gate/outcome/outcome.js';
import { duplex } from '../../../src/gate/relay/duplex.js';
import { logPacket, replyPacket } from '../../kit/gate/memory-backend.js';
import { chunkings } from '../../kit/plain/chunkings.js';
import { settle } from '../../kit/plain/fake-clock.js';
import { inputOf, openConversation } from './conversation.js';

const line = '\talice@example.org\tdsync-server\t--\n';

function start({ cutOff, roomBytes = 65_536 }: { cutOff?: () => Ending; roomBytes?: number } = {}) {
  const opened = openConversation({
    command: { name: 'dsync-server', isReading: false },
    limits: { deadlineMs: 1, replyIdleMs: 1_000, clientStallMs: 500, logLinesMax: 3 },
    clientEnd: { roomBytes },
    ...(cutOff && { cutOff }),
  });
  const { clock, upstream, closedFor, conversation } = opened;
  let up = 0;
  const running = duplex(conversation, inputOf(opened, { inputBytesMax: 0, inputTimeMs: 0 }), (bytes) => {
    up += bytes;
  });
  return {
    ...opened,
    running,
    up: () => up,
    /** The output channel as the client has it. */
    got: () => opened.got().out,
    async ends(expected: Ending): Promise<void> {
      const { value, closeFor, answer } = await running;
      assert.deepEqual([value, closeFor], [expected, 'not-reusable']);
      assert.equal(answer, expected.kind === 'duplex-ended' ? 'other' : undefined);
      await settle();
      assert.equal(upstream.state.at, 'closed');
      assert.equal(closedFor.length, 1);
      assert.equal(clock.timers, 0);
    },
  };
}

const ended = (how: Extract<Ending, { kind: 'duplex-ended' }>['how']): Ending => ({
  kind: 'duplex-ended',
  backend: 'mail1',
  how,
});

void test('bytes both ways, at every cutting; the client ends first', async () => {
  const down = 'VERSION\tdsync\t3\t5\nH\n+\n-NOUSER\n\0\x01t';
  for (const { chunks } of chunkings(replyPacket(`\n+\n${down}`))) {
    const story = start();
    for (const chunk of chunks) story.backend.send(chunk);
    story.client.send('up\n.\n');
    await settle();
    story.client.send('\talice@example.org\tquota get\n');
    await settle();
    assert.equal(story.got(), `\n+\n${down}`);
    assert.equal(story.sent(), `${line}up\n.\n\talice@example.org\tquota get\n`);
    story.client.end();
    await settle();
    assert.ok(story.backend.isEnded, 'the end is handed on');
    story.backend.send(replyPacket('last words'));
    story.backend.end();
    await story.ends(ended('ended'));
    assert.equal(story.got(), `\n+\n${down}last words`);
    assert.deepEqual(
      [story.up(), story.count.bytesIn],
      [story.sent().length - line.length, down.length + 'last words'.length + 3],
    );
  }
});

void test('the backend ends first; log lines are no part of the bytes', async () => {
  const story = start();
  story.backend.send(Buffer.concat([replyPacket('\n+\none'), logPacket('info', 'note'), replyPacket('two')]));
  await settle();
  story.backend.end();
  await story.ends(ended('ended'));
  assert.equal(story.got(), '\n+\nonetwo');
  assert.equal(story.count.logs?.get('info'), 1);
});

void test('either side is gone, or silent, or does not read', async () => {
  const gone = start();
  gone.backend.send(replyPacket('\n+\n'));
  await settle();
  gone.client.vanish();
  await gone.ends(ended('client-gone'));

  const broken = start();
  broken.backend.send(replyPacket('\n+\n'));
  await settle();
  broken.backend.vanish();
  await broken.ends(ended('backend-broke'));

  const silent = start();
  silent.backend.send(replyPacket('\n+\n'));
  await settle();
  await silent.clock.advance(900);
  silent.client.send('not silent');
  await settle();
  await silent.clock.advance(900);
  assert.equal(silent.upstream.state.at, 'leased');
  await silent.clock.advance(100);
  await silent.ends(ended('idle'));
  const deaf = start();
  deaf.client.setStopped(true);
  deaf.backend.send(replyPacket(`\n+\n${'x'.repeat(300_000)}`));
  await settle();
  // Others wait for the backend, and it takes nothing; the least rate does not hold for it.
  deaf.upstream.pace.check(deaf.clock.now() + 10_000, 65_536);
  await deaf.ends(ended('client-stall'));
  const chatty = start();
  chatty.backend.send(replyPacket('\n+\n'));
  for (let n = 0; n < 10; n += 1) {
    chatty.backend.send(logPacket('info', 'still at it'));
    await settle();
    await chatty.clock.advance(100);
  }
  await chatty.ends(ended('idle'));
  assert.equal(chatty.count.logs?.get('info'), 10);

  const mute = start();
  await mute.clock.advance(1_000);
  await mute.ends({ kind: 'reply-timeout', backend: 'mail1' });

  const stalled = start({ roomBytes: 10 });
  stalled.client.setStopped(true);
  stalled.backend.send(replyPacket(`\n+\n${'x'.repeat(200_000)}`));
  await settle();
  await stalled.clock.advance(500);
  await stalled.ends(ended('client-stall'));
});

void test('a client that has ended and does not read is given up as any other', async () => {
  for (const isOthersTurn of [false, true]) {
    const story = start({ roomBytes: 10 });
    story.backend.send(replyPacket('\n+\n'));
    await settle();
    story.client.end();
    story.client.setStopped(true);
    await settle();
    story.backend.send(replyPacket('x'.repeat(200_000)));
    await settle();
    if (isOthersTurn) story.upstream.pace.check(story.clock.now() + 10_000, 65_536);
    else await story.clock.advance(500);
    await settle();
    assert.equal(story.upstream.state.at, 'closed');
    await story.ends(ended('client-stall'));
  }
});

void test('no such answer: rows in front, a line without end', async () => {
  for (const answer of ['row\t\n+\n', `\n-${'X'.repeat(5_000)}`, '\n!\n']) {
    const story = start();
    story.backend.send(replyPacket(answer));
    const { value } = await story.running;
    assert.ok(value.kind === 'fault' && value.isSent);
    assert.equal(story.got(), '');
    assert.equal(story.clock.timers, 0);
  }
});
