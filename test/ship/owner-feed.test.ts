// Goal: the owner of a mailbox gets one mail for a day on which somebody used it under a grant, at the time of the day, whatever happens to
// the process, the mail server and the journal; and what a grant keeps from the owner comes after that time, all of it. What must not
// happen: two mails on one day, a use that no mail tells of, a word of a name in a header, a mail that keeps the others waiting.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { createOwnerFile } from '../../src/adapters/notices/owner-file.js';
import { bounds } from '../../src/bounds/bounds.js';
import { NoticeFault } from '../../src/domain/admin/notices/fault.js';
import type { NoticeMail } from '../../src/domain/admin/notices/forms.js';
import { encodeBody } from '../../src/domain/records/audit/encode.js';
import { type AuditRecord, formatTime } from '../../src/domain/records/audit/record.js';
import type { NoticeFeed } from '../../src/ship/notice-feed.js';
import { type OwnerFeedParts, startOwnerFeed } from '../../src/ship/owner-feed.js';
import { closeBefore, temporaryDirectory } from '../adapters/journal/reading.js';
import { type DiskJournal, openDiskJournal } from '../adapters/shipping/journal-on-disk.js';
import { createFakeClock, type FakeClock } from '../kit/fake-clock.js';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const bob = 'bob@example.com';

interface Grant {
  readonly id: string;
  readonly user: string;
  readonly quietMs?: number;
  readonly approvals?: number;
  readonly reason?: string;
}

interface Story {
  readonly clock: FakeClock;
  readonly journal: DiskJournal;
  readonly state: string;
  readonly mails: { readonly to: string; readonly mail: NoticeMail }[];
  readonly said: string[];
  /** Why the server does not take a mail; undefined: it does. `hang`: it never answers. */
  refuse: (to: string, text: string) => NoticeFault | 'hang' | undefined;
  attempts: number;
  give(grant: Grant): void;
  /** A use of a grant, and its end. */
  use(grant: string, users: readonly string[], more?: Partial<AuditRecord>): void;
  open(options?: Partial<OwnerFeedParts>): NoticeFeed;
  /** To that hour of the next day. */
  toNext(hour: number): Promise<void>;
  until(isSo: () => boolean): Promise<void>;
}

function tell(t: TestContext): Story {
  const clock = createFakeClock();
  const journal = openDiskJournal(t);
  const state = join(temporaryDirectory(t, 'memory'), 'state');
  let exchange = 0;
  let openFeeds = 0;
  const write = (record: Omit<AuditRecord, 'time'>): void =>
    journal.writeBodies(encodeBody({ time: clock.wallMs(), ...record }));
  const story: Story = {
    clock,
    journal,
    state,
    mails: [],
    said: [],
    attempts: 0,
    refuse: () => undefined,
    give({ id, user, quietMs, approvals = 1, reason = 'ticket 4711' }) {
      const asked = { to: 'anna@support', command: 'fetch', users: [user] };
      write({
        event: 'access',
        action: 'requested',
        ...asked,
        principal: 'anna@support',
        policy: 'support',
        request: id,
        until: formatTime(clock.wallMs() + dayMs),
        approvals,
        reason,
        ...(quietMs !== undefined && { quiet_ms: quietMs }),
        duration_ms: hourMs,
      });
      for (let at = 0; at < approvals; at += 1)
        write({
          event: 'access',
          action: 'approved',
          ...asked,
          principal: `carol${at}@leads`,
          policy: 'leads',
          request: id,
        });
      write({
        event: 'access',
        action: 'granted',
        ...asked,
        principal: 'carol@leads',
        policy: 'leads',
        request: id,
        grant: id,
        until: formatTime(clock.wallMs() + hourMs),
        approvals,
        ...(quietMs !== undefined && { quiet_ms: quietMs }),
        duration_ms: hourMs,
      });
    },
    use(grant, users, more = {}) {
      exchange += 1;
      const id = `E${exchange}`;
      write({
        event: 'admission',
        id,
        principal: 'anna@support',
        policy: 'support',
        decision: 'allow',
        command: 'fetch',
        args: ['hdr.subject', 'mailbox', 'INBOX', 'all'],
        effect: 'read',
        user: users[0] ?? '',
        users,
        grant,
        ...more,
      });
      write({ event: 'completion', id, outcome: 'ok', sent: true, cells: 3, grant, ...more });
    },
    open(options = {}) {
      const feed = startOwnerFeed({
        name: 'owners',
        digestMs: 7 * hourMs,
        domain: undefined,
        from: 'dovegate@gate1.example.com',
        seesPeople: () => false,
        isExcepted: () => false,
        clock,
        chance: () => 0.5,
        directory: journal.directory,
        journal: journal.id,
        host: 'gate1',
        file: createOwnerFile(state, 'owners', journal.id),
        untilSeq: () => journal.seq,
        async send(to, mail, signal) {
          story.attempts += 1;
          await pause(0);
          const fault = story.refuse(to, mail.text);
          if (fault === 'hang') await new Promise((resolve) => signal.addEventListener('abort', resolve));
          signal.throwIfAborted();
          if (fault !== undefined) throw fault;
          story.mails.push({ to, mail });
        },
        onFault: ({ message }) => story.said.push(message),
        onBack: () => story.said.push('back'),
        onAgain: () => story.said.push('again'),
        onDropped: (count, why = '') => story.said.push(`dropped ${count}: ${why}`),
        ...options,
      });
      openFeeds += 1;
      let isOpen = true;
      const close = async (): Promise<void> => {
        if (isOpen) openFeeds -= 1;
        isOpen = false;
        await feed.close();
      };
      closeBefore(t, close);
      // Its state is read as it is then.
      return {
        get state() {
          return feed.state;
        },
        close,
      };
    },
    async toNext(hour) {
      const wall = clock.wallMs();
      await clock.advance(dayMs - (wall % dayMs) + hour * hourMs);
      // A feed that runs has read what there is: its file has the day. One that waits for a server comes to it later.
      const day = new Date(clock.wallMs() - 7 * hourMs).toISOString().slice(0, 10);
      const file = join(state, 'owners-owners.json');
      const isRead = (): boolean => existsSync(file) && readFileSync(file, 'utf8').includes(`"day":"${day}"`);
      const turnsMax = openFeeds > 0 ? 3_000 : 0;
      for (let turns = 0; turns < turnsMax && !isRead(); turns += 1) await pause(1);
      await pause(100);
    },
    async until(isSo) {
      for (let turns = 0; !isSo(); turns += 1) {
        if (turns > 40_000)
          assert.fail(
            `it does not come: ${story.mails.length} mails, ${story.attempts} attempts, ${story.said.join()}`,
          );
        await clock.advance(1_000);
        await pause(1);
      }
    },
  };
  return story;
}

const texts = ({ mails }: Story): string[] => mails.map(({ to, mail }) => `${to}\n${mail.text}`);

/** A feed that has begun. */
async function begin(t: TestContext, options?: Partial<OwnerFeedParts>) {
  const story = tell(t);
  story.journal.write(5);
  const feed = story.open(options);
  await pause(150);
  return { story, feed };
}

void test('one mail at the time of the day, for each owner, with what it shows and without what it does not', async (t) => {
  const { story, feed } = await begin(t);
  story.give({ id: 'G1', user: bob, reason: 'see http://evil.example <b>\u202eok' });
  story.use('G1', [bob]);
  story.use('G1', [bob]);
  story.use('G1', [bob], { sent: false });
  story.use('G1', [bob], { for: 'E1' });
  story.give({ id: 'G2', user: 'eve@example.com', approvals: 0 });
  story.use('G2', ['eve@example.com'], { command: 'mailbox delete', effect: 'destroy', args: ['Old'] });
  await story.clock.advance(hourMs);
  await pause(100);
  assert.equal(story.mails.length, 0, 'not before the time of the day');
  await story.toNext(7);
  await story.until(() => story.mails.length === 2 && feed.state.lagMs === 0);
  const [one, two] = texts(story);
  assert.match(one ?? '', /^bob@example\.com\n/);
  assert.match(one ?? '', /^\d{4}-\d\d-\d\d \d\d:\d\d UTC: showed content, 2 commands$/m);
  assert.match(one ?? '', /^ {2}by: support$/m);
  assert.match(one ?? '', /^ {2}approved by: a second person \(leads\)$/m);
  assert.match(one ?? '', /^ {2}grant: G1$/m);
  assert.match(one ?? '', /^ {2}reason: see http\[:\]\/\/evil\[\.\]example ‹b› ?ok$/m);
  assert.doesNotMatch(one ?? '', /anna|carol|subject|INBOX/);
  assert.match(two ?? '', /: deleted$/m);
  assert.match(two ?? '', /approved by: nobody before it \(emergency\)/);
  assert.deepEqual([feed.state.delivered, feed.state.dropped, feed.state.lagMs], [2, 0, 0]);
  // Nothing new, no mail; then another day.
  await story.toNext(8);
  await story.toNext(8);
  assert.equal(story.mails.length, 2);
  story.use('G1', [bob]);
  await story.toNext(8);
  await story.until(() => story.mails.length === 3);
  assert.match(texts(story)[2] ?? '', /showed content$/m);
  assert.equal(new Set(story.mails.map(({ mail }) => mail.id)).size, 3);
  for (const { mail } of story.mails) assert.equal(mail.isUnanswerable, true);
});

void test('names where the policy of the person says so', async (t) => {
  const { story } = await begin(t, { seesPeople: (team) => team === 'support' });
  story.give({ id: 'G1', user: bob });
  story.use('G1', [bob]);
  await story.toNext(7);
  await story.until(() => story.mails.length === 1);
  assert.match(
    texts(story)[0] ?? '',
    /by: anna@support \(support\)\n.*\n {2}approved by: a second person \(leads\)/s,
  );
});

void test('kept from the owner: nothing until then, over restarts and new segments; then everything, once', async (t) => {
  const { story, feed } = await begin(t);
  story.give({ id: 'Q1', user: bob, quietMs: 3.5 * dayMs, approvals: 2 });
  story.use('Q1', [bob]);
  story.journal.rotate();
  story.use('Q1', [bob]);
  story.give({ id: 'G1', user: bob });
  story.use('G1', [bob]);
  await story.toNext(7);
  await story.until(() => story.mails.length === 1);
  assert.doesNotMatch(texts(story)[0] ?? '', /Q1/);
  await feed.close();
  story.journal.rotate();
  story.journal.compress(1);
  story.journal.compress(2);
  const next = story.open();
  await story.toNext(7);
  await story.toNext(7);
  assert.equal(story.mails.length, 1);
  await story.toNext(7);
  await story.until(() => story.mails.length === 2);
  const all = texts(story)[1] ?? '';
  assert.match(
    all,
    /showed content, 2 commands\n.* 2 other persons \(leads, leads\)\n {2}kept from you until .*, as they decided\n/s,
  );
  assert.doesNotMatch(all, /G1/);
  await story.toNext(7);
  await story.toNext(7);
  assert.equal(story.mails.length, 2);
  await next.close();
});

void test('killed while a mail is on its way: no second one that day, and its rows come the next day', async (t) => {
  const { story, feed } = await begin(t);
  for (const user of ['a@example.com', bob, 'c@example.com']) {
    story.give({ id: `G-${user}`, user });
    story.use(`G-${user}`, [user]);
  }
  // The second one leaves, and no answer comes.
  story.refuse = (to) => (to === bob ? 'hang' : undefined);
  await story.toNext(7);
  await story.until(() => story.attempts === 2);
  await feed.close();
  story.refuse = () => undefined;
  const again = story.open();
  await story.until(() => story.mails.length === 2);
  assert.deepEqual(
    story.mails.map(({ to }) => to),
    ['a@example.com', 'c@example.com'],
  );
  await story.clock.advance(10 * hourMs);
  assert.equal(story.mails.length, 2, 'not twice on a day');
  await story.toNext(7);
  await story.until(() => story.mails.length === 3);
  assert.equal(story.mails[2]?.to, bob);
  await again.close();
  // After all that, nobody is told anything again.
  story.open();
  await story.toNext(8);
  assert.equal(story.mails.length, 3);
});

void test('who is refused for good is dropped, who is refused for now comes later, and a server that is away costs nothing', async (t) => {
  const { story, feed } = await begin(t);
  for (const user of ['gone@example.com', 'full@example.com', bob]) {
    story.give({ id: `G-${user}`, user });
    story.use(`G-${user}`, [user]);
  }
  const refused = (status: number): NoticeFault =>
    new NoticeFault('mail-refused', status, undefined, 0, true);
  let isFull = true;
  story.refuse = (to) =>
    to.startsWith('gone') ? refused(550) : to.startsWith('full') && isFull ? refused(452) : undefined;
  await story.toNext(7);
  await story.until(() => story.mails.length === 1);
  assert.equal(story.mails[0]?.to, bob);
  isFull = false;
  await story.until(() => story.mails.length === 2);
  await story.until(() => feed.state.lagMs === 0);
  assert.ok(story.said.includes('dropped 1: the mail server refused it'), story.said.join());
  assert.equal(feed.state.dropped, 1);

  // Away for two days: one mail has both.
  story.refuse = () => new NoticeFault('connection-refused');
  story.use(`G-${bob}`, [bob]);
  await story.toNext(7);
  story.use(`G-${bob}`, [bob]);
  const before = story.attempts;
  await story.toNext(7);
  assert.ok(feed.state.fault?.code === 'connection-refused' && feed.state.lagMs > 0);
  // Pauses double up to bounds.noticeRetryMaxMs.
  assert.ok(story.attempts - before < dayMs / bounds.noticeRetryMaxMs + 20, String(story.attempts - before));
  story.refuse = () => undefined;
  await story.until(() => story.mails.length === 3);
  assert.equal(story.mails[2]?.mail.text.match(/showed content/g)?.length, 2);
});

void test('a reason for which the server refuses the mail: the owner gets it without the reasons', async (t) => {
  const { story } = await begin(t);
  story.give({ id: 'G1', user: bob, reason: 'GTUBE' });
  story.give({ id: 'G2', user: bob });
  for (const grant of ['G1', 'G2']) story.use(grant, [bob]);
  story.refuse = (_, text) =>
    text.includes('GTUBE') ? new NoticeFault('mail-refused', 554, undefined, 0, true) : undefined;
  await story.toNext(7);
  await story.until(() => story.mails.length === 1);
  const [text = ''] = texts(story);
  assert.match(text, /grant: G1[\s\S]*grant: G2/);
  assert.doesNotMatch(text, /GTUBE|4711/);
  assert.doesNotMatch(story.said.join(), /dropped/);
});

void test('names that are no address, the sender itself, and those that are left out get no mail', async (t) => {
  const { story } = await begin(t, {
    domain: 'example.net',
    isExcepted: (user) => user.startsWith('shared'),
  });
  const names = [
    'plain',
    'two words@example.com',
    'a@b.c\r\nBcc: x@evil.example',
    '<x@evil.example>',
    'ü@example.com',
    'a,b@example.com',
    '"q"@example.com',
    'x@y@example.com',
    'dovegate@gate1.example.com',
    'shared-box@example.com',
  ];
  for (const [at, user] of names.entries()) {
    story.give({ id: `G${at}`, user });
    story.use(`G${at}`, [user]);
  }
  await story.toNext(7);
  await story.until(() => story.said.length === 2);
  assert.deepEqual(
    story.mails.map(({ to }) => to),
    ['plain@example.net'],
  );
  assert.deepEqual(story.said.toSorted(), [
    'dropped 1: they would go to the sender itself',
    'dropped 7: the name of the owner is no address',
  ]);
});

void test('a flood: so many rows in a mail, so many mails a day, and the rest the next day', async (t) => {
  const { story } = await begin(t);
  story.give({ id: 'G1', user: bob });
  for (let at = 0; at < bounds.ownerMailRows + 5; at += 1) story.use('G1', [bob], { reason: `reason ${at}` });
  const many = Array.from({ length: bounds.ownerMails + 9 }, (_, at) => `u${at}@example.com`);
  for (const user of many) story.use('G1', [user]);
  await story.toNext(7);
  await story.until(() => story.mails.length === bounds.ownerMails);
  assert.match(texts(story)[0] ?? '', /^and 5 more commands, for which there was no room here$/m);
  await story.toNext(7);
  await story.until(() => story.mails.length === bounds.ownerMails + 10);
  assert.deepEqual(new Set(story.mails.map(({ to }) => to)), new Set([bob, ...many]));
});

void test('its file is lost: what is younger than a day comes again, and what is kept from owners stays so', async (t) => {
  const { story, feed } = await begin(t);
  story.give({ id: 'Q1', user: bob, quietMs: 4 * dayMs, approvals: 2 });
  story.use('Q1', [bob]);
  story.give({ id: 'G1', user: bob });
  story.use('G1', [bob]);
  await story.toNext(7);
  await story.until(() => story.mails.length === 1);
  await story.toNext(8);
  await feed.close();
  const file = createOwnerFile(story.state, 'owners', 'cd'.repeat(16));
  await file.save({ day: '', told: 0, start: 0, sinceMs: 0, owed: new Map(), held: new Map() });
  story.open();
  await story.until(() => story.said.includes('again'));
  await story.toNext(8);
  assert.equal(story.mails.length, 1);
  await story.toNext(8);
  await story.toNext(8);
  await story.until(() => story.mails.length === 2);
  assert.match(texts(story)[1] ?? '', /Q1/);
  assert.doesNotMatch(texts(story)[1] ?? '', /G1/);
});
