// Goal: command lines of all sessions share the event loop. What must not happen: a flood that takes more than its part of a turn, a
// client with one command that waits behind a flood, time left in a turn while somebody waits, somebody who never has a turn.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLineShare, createLineTurns, type LineShare } from '../../../src/gate/session/line-turns.js';
import { settle } from '../../kit/plain/fake-clock.js';

/** Turns of the loop by hand: each runs what was scheduled before it, one after the other. */
function open() {
  let nowMs = 1_000;
  let scheduled: (() => void)[] = [];
  const turns = createLineTurns({
    now: () => nowMs,
    nextTurn: () => new Promise((resolve) => void scheduled.push(resolve)),
  });
  const served: string[] = [];
  const shares = new Map<string, LineShare>();
  const shareOf = (session: string): LineShare => {
    const share = shares.get(session) ?? createLineShare();
    shares.set(session, share);
    return share;
  };
  /** `PRINCIPAL` or `PRINCIPAL/SESSION`. */
  const principalOf = (session: string): string => session.split('/')[0] ?? '';
  return {
    turns,
    served,
    /** Callbacks that the next turn runs. */
    scheduled: () => scheduled.length,
    /** One line that takes so long. */
    line: async (session: string, ms: number): Promise<void> => {
      const waits = turns.enter(shareOf(session), principalOf(session));
      if (waits !== undefined) await waits;
      served.push(session);
      nowMs += ms;
      turns.used(shareOf(session), principalOf(session), ms);
    },
    turn: async (): Promise<void> => {
      const now = scheduled;
      scheduled = [];
      for (const run of now) {
        run();
        await settle();
      }
    },
    pass: (ms: number): void => {
      nowMs += ms;
    },
  };
}

void test('lines are served at once until they have taken 2 ms of a turn, and go on in the next', async () => {
  const { line, served, turn, turns } = open();
  const lines = Array.from({ length: 12 }, () => line('flood', 1));
  await settle();
  assert.deepEqual([served.length, turns.size], [2, 10]);
  await turn();
  assert.deepEqual([served.length, turns.size], [4, 8]);
  for (let count = 0; count < 4; count += 1) await turn();
  assert.equal(served.length, 12);
  await Promise.all(lines);
});

void test('fifty sessions that flood take 2 ms of a turn together, in turns', async () => {
  const { line, served, turn } = open();
  const sessions = Array.from({ length: 50 }, (_, at) => `flood/${at}`);
  for (let round = 0; round < 3; round += 1) for (const session of sessions) void line(session, 1);
  for (let count = 0; count < 80; count += 1) {
    const before = served.length;
    await turn();
    assert.ok(served.length - before <= 3, `${served.length - before} lines in one turn`);
  }
  assert.equal(served.length, 150);
  // Each had its second line before any had its third.
  const firstThird = served.findIndex(
    (session, at) => served.slice(0, at).filter((each) => each === session).length === 2,
  );
  assert.ok(new Set(served.slice(0, firstThird)).size === 50, `a third line after ${firstThird}`);
});

void test('a client with one command does not wait behind a flood', async () => {
  const { line, served, turn } = open();
  for (let at = 0; at < 100; at += 1) void line(`flood/${at % 50}`, 1);
  await turn();
  // 2 ms are used up: there is room for who used next to nothing.
  void line('light', 0.1);
  assert.equal(served.at(-1), 'light');
});

void test('beyond twice the time of a turn it waits for the next, and comes first there', async () => {
  const { line, served, turn } = open();
  for (let at = 0; at < 100; at += 1) void line(`flood/${at % 50}`, 1);
  await turn();
  for (let at = 0; at < 3; at += 1) void line(`new${at}`, 1);
  await settle();
  const before = served.length;
  void line('light', 0.1);
  await settle();
  assert.equal(served.length, before);
  await turn();
  assert.ok(served.slice(before, before + 2).includes('light'), served.slice(before).join());
});

void test('sessions that come anew for each line are known by their principal', async () => {
  const { line, served, turn } = open();
  for (let at = 0; at < 40; at += 1) void line(`flood/${at}`, 1);
  await turn();
  void line('flood/new', 1);
  const before = served.length;
  void line('light', 0.1);
  assert.deepEqual(served.slice(before), ['light']);
});

void test('what was used fades, and then a session is light again', async () => {
  const { line, pass, served, turn, turns } = open();
  for (let at = 0; at < 20; at += 1) void line('job', 1);
  for (let at = 0; at < 10; at += 1) await turn();
  assert.equal(served.length, 20);
  pass(1_000);
  for (let at = 0; at < 100; at += 1) void line(`flood/${at % 50}`, 1);
  await turn();
  void line('job', 0.1);
  assert.equal(served.at(-1), 'job');
  for (let at = 0; at < 60; at += 1) await turn();
  assert.equal(turns.size, 0);
});

void test('a thousand sessions that wait cost a turn no more than a few callbacks', async () => {
  const { line, scheduled, served, turn, turns } = open();
  for (let at = 0; at < 1_000; at += 1) void line(`flood/${at}`, 0.5);
  for (let count = 0; count < 20; count += 1) {
    assert.ok(scheduled() <= 40, `${scheduled()} callbacks for ${turns.size} sessions that wait`);
    await turn();
  }
  void line('light', 0.1);
  await turn();
  assert.ok(served.slice(-6).includes('light'), served.slice(-6).join());
  for (let count = 0; count < 400; count += 1) await turn();
  assert.deepEqual([turns.size, scheduled()], [0, 0]);
  assert.equal(served.length, 1_001);
});

void test('of the sessions of one principal that wait, the one that used least is first, and those alike in their order', async () => {
  const { line, served, turn } = open();
  void line('team/heavy', 3);
  for (let at = 0; at < 3; at += 1) void line(`team/${at}`, 1);
  void line('team/heavy', 1);
  void line('team/last', 1);
  for (let count = 0; count < 6; count += 1) await turn();
  assert.deepEqual(served, ['team/heavy', 'team/0', 'team/1', 'team/2', 'team/last', 'team/heavy']);
});

void test('in a full table those are forgotten first whose use has faded', async () => {
  const { line, served, turn } = open();
  void line('heavy', 200);
  const others = 3 * 1000;
  for (let at = 0; at < others; at += 1) void line(`other${at}`, 0.01);
  for (let count = 0; count < 100; count += 1) await turn();
  assert.equal(served.length, others + 1);
  for (let at = 0; at < 4; at += 1) void line(`flood/${at}`, 1);
  const before = served.length;
  // A light session would be served in this turn.
  void line('heavy/new', 0.1);
  assert.equal(served.length, before);
  for (let count = 0; count < 10; count += 1) await turn();
});
