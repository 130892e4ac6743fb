// Goal: what destroys, changes something or shows mails is suggested as it was seen. What must not happen: a relative of it that nobody
// ran is allowed: another mailbox, younger mail, another option, another domain, or a mailbox of one domain for another.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allSeries } from '../../../src/doveadm/commands/catalog.js';
import { createUserNames } from '../../../src/doveadm/names/user-name.js';
import { Sightings } from '../../../src/evidence/review/sightings.js';
import { suggest } from '../../../src/evidence/review/suggest.js';
import { pick, seededRandom } from '../../kit/plain/chunkings.js';
import { judgeLine } from '../../kit/plain/judge-line.js';
import { parse, settingsOf, sound } from '../../rules/config/sound.js';
import { record, recordedMs } from './recording.js';

const rounds = 15 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const settings = settingsOf(sound.replace('users: ["*@example.com"]', 'mode: observe\n    users: ["*"]'));
const policy = settings.policies.get('support') ?? assert.fail();

interface Place {
  readonly mailbox: string;
  readonly age: string;
  readonly option: boolean;
}

interface Job {
  readonly user: string;
  readonly words: readonly string[];
}

const users = ['bob@example.com', 'dora@example.net', 'eve@example.com'];
const mailboxes = ['Trash', 'Junk', 'Archive', 'Restored-2026-11-01', 'Restored-2026-11-02', 'a*b', 'INBOX'];
const ages = ['7d', '30d', '45d', '2026-10-01'];
/** One of each domain, and of one that nobody was seen in. */
const domains = ['bob@example.com', 'dora@example.net', 'mallory@example.org'];
const domainOf = (user: string): string => user.slice(user.indexOf('@'));
/** How old, in days at least. */
const days: Readonly<Record<string, number>> = { '1d': 1, '7d': 7, '30d': 30, '45d': 45, '2026-10-01': 50 };

/** The kinds of work, each with its places: a mailbox, an age, an option. */
const kinds: readonly ((mailbox: string, age: string, option: boolean) => readonly string[])[] = [
  (mailbox, age, option) => ['expunge', ...(option ? ['-d'] : []), 'mailbox', mailbox, 'savedbefore', age],
  (mailbox) => ['expunge', 'mailbox', mailbox, 'all'],
  (mailbox, age) => ['expunge', 'mailbox', mailbox, '(', 'savedbefore', age, 'or', 'seen', ')'],
  (mailbox, _age, option) => ['mailbox', 'delete', ...(option ? ['-r'] : []), mailbox],
  (mailbox) => ['fetch', 'text', 'mailbox', mailbox, '1:5'],
  (mailbox, age) => ['fetch', 'hdr', 'mailbox', mailbox, 'savedbefore', age],
  (mailbox, age) => ['search', 'mailbox', mailbox, 'body', 'invoice', 'savedbefore', age],
  (mailbox, age) => ['move', 'Target', 'mailbox', mailbox, 'savedbefore', age],
  (mailbox, age, option) =>
    ['flags', 'add', option ? '\\Seen' : '\\Deleted', 'mailbox', mailbox].concat('savedbefore', age),
  (mailbox, _age, option) => ['mailbox', 'rename', ...(option ? ['-s'] : []), mailbox, `${mailbox}-old`],
  (mailbox) => ['acl', 'set', mailbox, 'owner', 'lookup', 'read'],
  (mailbox, _age, option) => ['mailbox', 'create', ...(option ? ['-s'] : []), mailbox],
];

const wordsOf = (kind: (typeof kinds)[number], { mailbox, age, option }: Place): readonly string[] =>
  kind(mailbox, age, option);

function isAllowedBy(text: string, { user, words }: Job): boolean {
  const { settings: suggested = assert.fail(text) } = parse(sound.replace(/policies:[^]*/, text));
  const found = suggested.policies.get('support') ?? assert.fail(text);
  const userNames = createUserNames(suggested.mailUsers);
  const asked = { listener: 'support', principal: 'carol@support', user, words, clientMinor: 4 };
  return allSeries.some((series) => {
    const judgement = judgeLine(found, asked, series, [], userNames, recordedMs);
    return judgement.kind === 'judged' && judgement.decision.kind === 'allow';
  });
}

void test('no relative of what was seen is allowed', () => {
  const random = seededRandom(61);
  let relatives = 0;
  let again = 0;
  for (let round = 0; round < rounds; round += 1) {
    const kind = pick(random, kinds);
    const seen: Job[] = [];
    const places: (Place & { readonly user: string })[] = [];
    const sightings = new Sightings({ listener: 'support' });
    const seenUsers = users.slice(0, 1 + Math.floor(random() * 3));
    for (let at = 0; at < 4; at += 1) {
      const place = { mailbox: pick(random, mailboxes), age: pick(random, ages), option: random() < 0.3 };
      const user = pick(random, seenUsers);
      const job = { user, words: wordsOf(kind, place) };
      seen.push(job);
      places.push({ ...place, user });
      const row = record(settings, 'support', { ...job, principal: 'carol@support' });
      for (const each of [row, row]) sightings.take(each);
    }
    const { text } = suggest(sightings, { settings, policy, listener: 'support', nowMs: recordedMs });
    for (const job of seen) {
      assert.ok(isAllowedBy(text, job), `${job.user}: ${job.words.join(' ')}\n${text}`);
      again += 1;
    }
    const lineOf = ({ user, words }: Job): string => `${domainOf(user)} ${words.join(' ')}`;
    const known = new Set(seen.map(lineOf));
    const isYounger = (one: Place, other: Place): boolean => (days[one.age] ?? 0) < (days[other.age] ?? 0);
    for (const place of places) {
      const others = [
        { ...place, mailbox: `${place.mailbox}x` },
        { ...place, mailbox: pick(random, mailboxes) },
        { ...place, age: '1d' },
        { ...place, option: !place.option },
        ...domains.map((user) => ({ ...place, user })),
      ];
      for (const other of others) {
        const job = { user: other.user, words: wordsOf(kind, other) };
        // Older mail than what was seen is within it.
        const isWithin = places.some(
          (each) =>
            lineOf({ user: each.user, words: wordsOf(kind, { ...each, age: other.age }) }) === lineOf(job) &&
            !isYounger(other, each),
        );
        if (isWithin || known.has(lineOf(job))) continue;
        relatives += 1;
        assert.equal(isAllowedBy(text, job), false, `${job.words.join(' ')} for ${job.user}\n${text}`);
      }
    }
  }
  assert.ok(relatives > rounds * 5 && again === rounds * 4, `${relatives} relatives, ${again} again`);
});
