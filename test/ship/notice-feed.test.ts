// Goal: a receiver gets each notice at least once, in the order of the journal, whatever happens to it, to the page and to the journal, and
// recognizes duplicates by their id. What must not happen: a notice that is lost, memory that grows while a receiver is down, a notice of
// before a receiver was there, more than one on its way.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { bounds } from '../../src/host/bounds/bounds.js';
import { pause as pauseBy } from '../../src/host/concurrency/waiting.js';
import { type NoticeEvent, noticeEvents } from '../../src/rules/config/receiver.js';
import { createPlaceFile, type PlaceFile } from '../../src/ship/carriers/place-file.js';
import { startNoticeFeed } from '../../src/ship/notice-feed.js';
import type { Notice } from '../../src/ship/notices/notice.js';
import { NoticeFault } from '../../src/ship/notices/notice-fault.js';
import { closeBefore, temporaryDirectory } from '../journal/files/reading.js';
import { type AccessFacts, accessBody, usualRequest } from '../kit/plain/access-record.js';
import { createFakeClock, type FakeClock } from '../kit/plain/fake-clock.js';
import { idle } from '../kit/plain/idle.js';
import { until } from '../kit/plain/until.js';
import { type DiskJournal, openDiskJournal } from './shipping/journal-on-disk.js';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

interface Story {
  readonly clock: FakeClock;
  readonly journal: DiskJournal;
  readonly state: string;
  /** What the receiver has taken: ids. */
  readonly taken: string[];
  readonly notices: Notice[];
  readonly faults: string[];
  /** Attempts so far, and the most that were on their way at once. */
  readonly attempts: { count: number; most: number };
  /** Why the receiver does not take one; undefined: it does. */
  refuse: ((notice: Notice) => NoticeFault | undefined) | undefined;
  /** What comes before the answer to one, as of a mail server after the dot. */
  think: ((notice: Notice, onSlow: () => void, signal: AbortSignal) => Promise<void>) | undefined;
  /** A record of access, now. */
  note(facts?: AccessFacts): void;
  open(options?: {
    readonly events?: readonly NoticeEvent[];
    readonly place?: PlaceFile;
  }): ReturnType<typeof startNoticeFeed>;
  /** Turns the clock until something is so. */
  until(isSo: () => boolean, stepMs?: number): Promise<void>;
}

function tell(t: TestContext): Story {
  const clock = createFakeClock();
  const journal = openDiskJournal(t);
  const state = join(temporaryDirectory(t), 'state');
  const feeds: ReturnType<typeof startNoticeFeed>[] = [];
  let onItsWay = 0;
  const story: Story = {
    clock,
    journal,
    state,
    taken: [],
    notices: [],
    faults: [],
    attempts: { count: 0, most: 0 },
    refuse: undefined,
    think: undefined,
    note(facts = usualRequest) {
      journal.writeBodies(accessBody(clock.wallMs(), facts));
      for (const feed of feeds) feed.nudge();
    },
    open({ events = noticeEvents, place = createPlaceFile(state, 'chat') } = {}) {
      const feed = startNoticeFeed({
        name: 'chat',
        events,
        clock,
        chance: () => 0.5,
        directory: journal.directory,
        journal: journal.id,
        host: 'gate1',
        place,
        untilSeq: () => journal.seq,
        async send(notice, signal, onSlow) {
          onItsWay += 1;
          story.attempts.count += 1;
          story.attempts.most = Math.max(story.attempts.most, onItsWay);
          try {
            await (story.think?.(notice, onSlow, signal) ?? nextTurn());
            signal.throwIfAborted();
            const fault = story.refuse?.(notice);
            if (fault !== undefined) throw fault;
            story.taken.push(notice.id.slice(notice.id.indexOf('.') + 1));
            story.notices.push(notice);
          } finally {
            onItsWay -= 1;
          }
        },
        log: {
          report({ event, text, ...keys }) {
            const [, status = ''] = / \((\d+)\)$/.exec(text) ?? [];
            const [, why] = /\((.*)\)/.exec(text) ?? [];
            if (event === 'notices-away') story.faults.push(`${keys['type']} ${status}`.trim());
            else if (event === 'notices-back') story.faults.push('back');
            else if (event === 'notices-again') story.faults.push(`again: ${why}`);
            else story.faults.push(`dropped ${keys['count']}`);
          },
        },
      });
      feeds.push(feed);
      closeBefore(t, () => feed.close());
      return feed;
    },
    async until(isSo, stepMs = 100) {
      for (let turns = 0; !isSo(); turns += 1) {
        if (turns > 20_000) assert.fail('it does not come');
        await clock.advance(stepMs);
        await idle();
      }
    },
  };
  return story;
}

/** Until a feed has read what there is. */
const read = idle;

/** With a feed that has read the journal to its end. */
async function begin(t: TestContext) {
  const story = tell(t);
  const feed = story.open();
  await read();
  return { story, feed };
}

void test('a new receiver hears of what comes from now on, of its events alone, in the order of the journal', async (t) => {
  const story = tell(t);
  story.journal.write(10);
  story.note();
  story.open({ events: ['granted', 'refused'] });
  await read();
  story.note({ ...usualRequest, action: 'granted', approvals: 1 });
  story.note();
  story.journal.write(1000);
  story.note({ ...usualRequest, action: 'granted', approvals: 0 });
  story.journal.rotate();
  story.journal.compress(1);
  story.note({ ...usualRequest, action: 'expired' });
  story.note({ ...usualRequest, action: 'refused' });
  await story.until(() => story.taken.length === 3);
  assert.equal(story.notices.map(({ event }) => event).join(' '), 'granted break-glass refused');
  assert.deepEqual(story.taken, ['12', '1014', '1016']);
  assert.equal(story.attempts.most, 1);
});

void test('down for an hour: each comes once when it is back, few attempts are made, and memory does not grow', async (t) => {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  const used = (): number => {
    if (typeof collect === 'function') collect();
    return process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
  };
  const { story, feed } = await begin(t);
  story.note();
  await story.until(() => story.taken.length === 1);
  story.refuse = () => new NoticeFault('status', 503);
  story.note();
  await story.until(() => feed.report.fault !== undefined);
  const before = used();
  const begun = story.clock.now();
  for (let round = 0; round < 60; round += 1) {
    for (let at = 0; at < 5; at += 1) story.note({ ...usualRequest, reason: 'x'.repeat(4000) });
    story.journal.write(200, { reason: 'y'.repeat(2000) });
    await story.clock.advance(hourMs / 60);
    await read();
  }
  assert.ok(story.clock.now() - begun >= hourMs);
  // The test itself keeps each line that it wrote.
  const ours = story.journal.lines.reduce((sum, line) => sum + line.length, 0);
  assert.ok(ours > 20 << 20);
  const grown = used() - before - ours;
  assert.ok(grown < 4 << 20, `${grown} bytes more`);
  const { fault, lagMs, delivered } = feed.report;
  assert.equal(delivered, 1);
  assert.equal(fault?.code, 'status');
  assert.ok(lagMs >= hourMs && (fault?.forMs ?? 0) >= hourMs);
  // Pauses double up to bounds.noticeRetryMaxMs.
  assert.ok(story.attempts.count < 30 && bounds.noticeRetryMaxMs === 300_000, String(story.attempts.count));
  story.refuse = undefined;
  await story.until(() => story.taken.length >= 302, 10_000);
  const { lines } = story.journal;
  const expected = lines.flatMap((line, at) => (line.includes('"event":"access"') ? [String(at + 1)] : []));
  assert.deepEqual(story.taken, expected);
  assert.deepEqual(story.faults, ['status 503', 'back']);
  assert.equal(feed.report.fault, undefined);
  assert.equal(story.attempts.most, 1);
});

void test('a receiver that says when to come again is not asked before', async (t) => {
  const { story, feed } = await begin(t);
  story.refuse = () => new NoticeFault('status', 503, undefined, 1_800_000);
  story.note();
  await story.until(() => feed.report.fault !== undefined);
  await story.clock.advance(1_700_000);
  assert.equal(story.attempts.count, 1);
  story.refuse = undefined;
  await story.until(() => story.taken.length === 1);
  assert.equal(story.attempts.count, 2);
  // It holds for one pause.
  story.refuse = () => new NoticeFault('unreachable');
  story.note();
  await story.until(() => story.attempts.count > 5, 10_000);
});

/** As a mail server that answers so long after the dot; undefined: never. */
function slowAfter(clock: FakeClock, ms?: number): NonNullable<Story['think']> {
  return async (_, onSlow, signal) => {
    await pauseBy(clock, 5000, signal);
    onSlow();
    await pauseBy(clock, (ms ?? bounds.noticeMailEndMs) - 5000, signal);
    signal.throwIfAborted();
    if (ms === undefined) throw new NoticeFault('unanswered');
  };
}

for (const [name, ms] of [
  ['20 s', 20_000],
  ['5 minutes', 300_000],
  ['never', undefined],
] as const)
  void test(`100 notices, one of them slow (${name}): each once, the others not late`, async (t) => {
    const { story, feed } = await begin(t);
    const slow = slowAfter(story.clock, ms);
    const times = new Map<string, readonly number[]>();
    story.think = async (notice, onSlow, signal) => {
      times.set(notice.id, [...(times.get(notice.id) ?? []), story.clock.now()]);
      await (notice.id.endsWith('.50') ? slow(notice, onSlow, signal) : nextTurn());
    };
    const startMs = story.clock.now();
    for (let at = 1; at <= 100; at += 1) story.note();
    await until(() => times.size === 50, 'the slow one');
    await story.clock.advance(5000);
    await until(() => story.taken.length === 99, 'the others, without a further moment');
    assert.equal(story.clock.now() - startMs, 5000);
    const others = Array.from({ length: 100 }, (_, at) => String(at + 1)).filter((seq) => seq !== '50');
    assert.deepEqual(story.taken, others);
    assert.ok(feed.report.lagMs > 0);
    // It is settled in the end.
    await story.until(() => feed.report.lagMs === 0, 1000);
    assert.equal(story.taken.length, ms === undefined ? 99 : 100);
    assert.deepEqual(story.faults, ms === undefined ? ['unanswered'] : []);
    // Once more, later, as the server may have it.
    const again = [...times].filter(([, each]) => each.length > 1);
    const waits = again.map(([id, [firstMs = 0, ...more]]) => [id, more.map((at) => at - firstMs)]);
    const waitMs = bounds.noticeMailEndMs + bounds.noticeRetryMaxMs;
    assert.deepEqual(waits, ms === undefined ? [[`${story.journal.id}.50`, [waitMs]]] : []);
  });

void test('a server that answers nothing gets each mail twice, a few at a time, and what is set aside outlives the process', async (t) => {
  const { story, feed } = await begin(t);
  story.think = slowAfter(story.clock);
  // bounds.noticesAside
  for (let at = 0; at < 2 * bounds.noticesAside; at += 1) story.note();
  const asideNow = async (): Promise<unknown> => {
    const kept = await createPlaceFile(story.state, 'chat').load();
    return typeof kept === 'object' ? kept.aside.join() : kept;
  };
  for (let turns = 0; (await asideNow()) !== '1,2,3,4,5,6,7,8'; turns += 1) {
    assert.ok(turns < 10_000, String(await asideNow()));
    await story.clock.advance(100);
    await idle();
  }
  await feed.close();
  assert.equal(story.attempts.most, bounds.noticesAside);
  assert.equal(await asideNow(), '1,2,3,4,5,6,7,8');
  story.attempts.count = 0;
  story.think = undefined;
  const next = story.open();
  await story.until(() => story.taken.length === 2 * bounds.noticesAside, 10_000);
  await story.until(() => next.report.lagMs === 0);
  assert.equal(story.attempts.count, 2 * bounds.noticesAside);
  assert.deepEqual(new Set(story.taken.map(Number)), new Set(story.taken.map((_, at) => at + 1)));
  await next.close();
  assert.equal(await asideNow(), '');
});

void test('ended between sending and storing: the notice comes again with its id, and none is lost', async (t) => {
  const story = tell(t);
  await story.open().close();
  // A place that is not stored any more, as after a kill.
  const file = createPlaceFile(story.state, 'chat');
  let isKilled = false;
  let release = (): void => undefined;
  const never = new Promise<void>((resolve) => {
    release = resolve;
  });
  closeBefore(t, async () => release());
  story.open({ place: { load: () => file.load(), save: (place) => (isKilled ? never : file.save(place)) } });
  await read();
  story.note();
  await story.until(() => story.taken.length === 1);
  await read();
  isKilled = true;
  story.note();
  await story.until(() => story.taken.length === 2);
  // The next process.
  story.note();
  story.open();
  await story.until(() => story.taken.length === 4);
  assert.deepEqual(story.taken, ['1', '2', '2', '3']);
  const [, second, again] = story.notices;
  assert.deepEqual(second, again);
});

void test('closed while the receiver is down: the next feed begins with the same notice', async (t) => {
  const { story, feed } = await begin(t);
  story.refuse = () => new NoticeFault('unreachable');
  story.note();
  story.note();
  await story.until(() => feed.report.fault !== undefined);
  await feed.close();
  assert.deepEqual(story.taken, []);
  story.refuse = undefined;
  story.open();
  await story.until(() => story.taken.length === 2);
  assert.deepEqual(story.taken, ['1', '2']);
});

void test('what is too old is dropped, and one notice says so', async (t) => {
  const { story, feed } = await begin(t);
  story.refuse = () => new NoticeFault('unreachable');
  for (let at = 0; at < 5; at += 1) story.note();
  await story.until(() => feed.report.fault !== undefined);
  await story.until(() => feed.report.dropped === 5, 60_000);
  // A restart in between: nothing is forgotten, nothing is counted twice.
  await feed.close();
  story.note();
  story.refuse = undefined;
  const next = story.open();
  await story.until(() => story.taken.length === 2);
  assert.deepEqual(story.taken, ['5.dropped', '6']);
  assert.equal(story.notices[0]?.facts.dropped, 5);
  assert.equal(next.report.delivered, 1);
  assert.ok(story.faults.includes('dropped 5'));
  // Without a notice behind them the receiver is told as well.
  story.refuse = () => new NoticeFault('unreachable');
  story.note();
  await story.until(() => next.report.dropped === 1, 60_000);
  story.refuse = undefined;
  await story.until(() => story.taken.length === 3, 10_000);
  assert.equal(story.taken[2], '7.dropped');
});

void test('a text that the receiver refuses holds back no later notice', async (t) => {
  const { story, feed } = await begin(t);
  let code = 503;
  story.refuse = ({ facts }) => (facts.reason === 'poison' ? new NoticeFault('status', code) : undefined);
  story.note({ ...usualRequest, reason: 'poison' });
  story.note({ ...usualRequest, action: 'granted', approvals: 0 });
  // It may be another one's fault, and pass.
  await story.until(() => feed.report.failed > 3);
  assert.deepEqual(story.taken, []);
  code = 400;
  await story.until(() => story.taken.length === 2);
  assert.deepEqual(story.taken, ['1', '2']);
  const { users, reason, request, principal } = story.notices[0]?.facts ?? {};
  assert.equal(reason, 'left out, with the users: the receiver refused them');
  const kept = [undefined, usualRequest.request, usualRequest.principal];
  assert.deepEqual([users, request, principal], kept);
  assert.equal(story.notices[1]?.event, 'break-glass');
  assert.equal(story.notices[1]?.facts.reason, usualRequest.reason);
  await story.until(() => feed.report.fault === undefined);
  // Of a mail server; a refusal that may pass is tried again whole.
  for (const [status, isLeftOut] of [
    [554, true],
    [451, false],
  ] as const) {
    let tries = 0;
    story.refuse = ({ facts }) =>
      facts.reason === 'poison' && (tries += 1) < 3 ? new NoticeFault('mail-refused', status) : undefined;
    story.note({ ...usualRequest, reason: 'poison' });
    const count = story.taken.length;
    await story.until(() => story.taken.length > count);
    assert.equal(story.notices.at(-1)?.facts.reason !== 'poison', isLeftOut, String(status));
  }
});

void test('another journal, records that were cut off, a place that is not ours: what is young comes again', async (t) => {
  const { story, feed } = await begin(t);
  for (let at = 0; at < 3; at += 1) story.note();
  await story.until(() => story.taken.length === 3);
  // A power cut: the last two were not on disk.
  story.journal.cut(2);
  story.note({ ...usualRequest, action: 'refused' });
  await story.until(() => story.taken.length === 5);
  assert.deepEqual(story.taken.slice(3), ['1', '2']);
  assert.equal(story.notices.at(-1)?.event, 'refused');
  await feed.close();
  // Older than a day: silently passed over, since the receiver may have had it.
  await story.clock.advance(bounds.noticeKeptMs + 1);
  story.note();
  writeFileSync(join(story.state, 'notices-chat.json'), 'not ours');
  const next = story.open();
  await story.until(() => story.taken.length === 6);
  assert.equal(story.taken[5], '3');
  assert.equal(next.report.dropped, 0);
});

void test('a wall clock that was years ahead when a place was lost hides nothing that comes later', async (t) => {
  const story = tell(t);
  mkdirSync(story.state);
  writeFileSync(join(story.state, 'notices-chat.json'), 'not ours');
  const aheadMs = 1000 * dayMs;
  story.clock.leap(aheadMs);
  story.note();
  const feed = story.open();
  await story.until(() => story.taken.length === 1);
  story.clock.leap(-aheadMs);
  story.note();
  await story.until(() => story.taken.length === 2);
  // Nor after a restart.
  await feed.close();
  story.note();
  story.open();
  await story.until(() => story.taken.length === 3);
  assert.deepEqual(story.taken, ['1', '2', '3']);
});

void test('a place that cannot be stored, and a journal that cannot be read, are faults that end', async (t) => {
  const story = tell(t);
  story.note();
  const feed = story.open();
  await story.until(() => existsSync(join(story.state, 'notices-chat.json')));
  rmSync(story.state, { recursive: true });
  writeFileSync(story.state, 'a file in the place of the directory');
  story.note();
  await story.until(() => story.taken.length === 1);
  await story.until(() => feed.report.fault?.code === 'state-file');
  rmSync(story.state);
  story.note();
  await story.until(() => story.taken.length === 2);
  await story.until(() => feed.report.fault === undefined);
  assert.deepEqual(story.taken, ['2', '3']);
});
