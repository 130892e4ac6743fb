// Goal: the suggestion reads as a policy, keeps what today's policy refuses, and says what it leaves out.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Sightings } from '../../../src/evidence/review/sightings.js';
import { type Suggestion, suggest } from '../../../src/evidence/review/suggest.js';
import type { ExchangeRow } from '../../../src/evidence/trail/search.js';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import type { Settings } from '../../../src/rules/config/settings.js';
import { type Asked, compareAnswers } from '../../kit/plain/approved.js';
import { parse, settingsOf, sound } from '../../rules/config/sound.js';
import { record, recordedMs } from './recording.js';
import { wordsOf } from './seeing.js';

/** With one preset, `presets/desk`. */
function parseWithPreset(text: string): Settings {
  const presetText = (name: string) =>
    name === 'desk' ? 'allow: [quota get, who]\ndeny: [index]\n' : undefined;
  const { settings, problems } = parseSettings('/etc/dovegate/d.yaml', {
    readText: () => text,
    glob: () => [],
    presetText,
  });
  return settings ?? assert.fail(JSON.stringify(problems));
}

function suggestion(policy: string, ...lines: string[]): Suggestion {
  const settings = parseWithPreset(
    `${sound.replace('users: ["*@example.com"]\n    allow: [quota get]', policy)}mail_users: { resolve: /run/auth }\n`,
  );
  const rows = lines.map((line, at) => {
    const [user = '', words = ''] = line.split(': ');
    const principal = at % 2 === 0 ? 'carol@support' : 'dave@support';
    const sent = { user, words: wordsOf(words), principal, atMs: recordedMs - at * 60_000, reason: 'x' };
    return record(settings, 'support', sent);
  });
  return suggestedBy(settings, rows);
}

/** What these rows make of the policy. */
function suggestedBy(settings: Settings, rows: readonly ExchangeRow[]): Suggestion {
  const sightings = new Sightings({ listener: 'support' });
  for (const row of rows) sightings.take(row);
  const policy = settings.policies.get('support') ?? assert.fail();
  return suggest(sightings, { settings, policy, listener: 'support', nowMs: recordedMs });
}

const observing = (users: string): string => `mode: observe\n    users: ${users}\n    allow: [quota get]`;
const ofTwoDomains = [
  'bob@example.com: quota get',
  'eve@example.com: mailbox list',
  'mallory@example.net: quota get',
  'trent@example.net: mailbox list',
  'dora@example.org: sieve list',
];
const move = (day: string): string => `bob@example.com: move Archive/${day} mailbox INBOX savedbefore 90d`;
const operators = [
  `users: ["*@example.com"]
    use: [presets/desk]
    weight: 3
    contact: helpdesk@example.com
    deny: [mailbox delete]
    allow:
      - { command: mailbox create, where: { mailbox: ["Projects/*"] }, reason: required, limit: 5/day, expires: 2099-01-01 }
      - { command: reload, root_equivalent: true }
      - sieve list`,
  'bob@example.com: mailbox create Projects/x',
  ': reload',
  'bob@example.com: quota get',
  'bob@example.com: mailbox create Other',
] as const;

/** A policy and what was done under it. */
const seen: Readonly<Record<string, readonly [policy: string, ...lines: string[]]>> = {
  'of each kind something': [
    `mode: observe
    users: ["*@example.com"]
    except: [ceo@example.com]
    limits: { rate: 60/minute, distinct_users: 5/day, at_once: 2 }
    logs: full
    debug: true
    deny: [mailbox delete, { command: sieve delete, where: { scriptname: [main] } }]
    allow: [quota get]`,
    'bob@example.com: quota get',
    'eve@example.com: quota get',
    'bob@example.com: fetch "uid hdr.subject" mailbox INBOX all',
    'bob@example.com: mailbox create "Old stuff"',
    'eve@example.com: mailbox create "Old stuff"',
    'bob@example.com: mailbox delete A',
    'ceo@example.com: quota get',
    ': reload',
    'bob@example.com: quota get -A',
    'bob@example.com: nonsense',
    'bob@example.com: who *',
    'bob@example.com: expunge -d mailbox Trash deleted',
  ],
  'nothing that was allowed gives no new rule; what was denied is one in comments, as explain has it': [
    'users: ["*@example.com"]\n    allow: [quota get]',
    'bob@example.com: sieve list',
  ],
  'the users of the policy stay; other users are a comment with their count': [
    observing('["*@example.com"]'),
    ...ofTwoDomains,
  ],
  'of all users: the domains are a comment': [observing('["*"]'), ...ofTwoDomains],
  'any number of domains is one line': [
    observing('["*@example.com"]'),
    ...Array.from({ length: 25 }, (_, at) => `bob@d${at}.example: quota get`),
  ],
  'what an operator wrote stays as it is; only what no rule allows is new': operators,
  'a job that names the day is one job: seen on three days, it is not seen once': [
    observing('["*@example.com"]'),
    ...['2026-11-18', '2026-11-19', '2026-11-20'].map(move),
  ],
  'on two days of the week': [observing('["*@example.com"]'), ...['Mon', 'Tue'].map(move)],
  'two days in one line could be crossed': [
    observing('["*@example.com"]'),
    ...['Mon', 'Tue'].map((day) => move(day).replace('INBOX', `In/${day}`)),
  ],
  ...Object.fromEntries(
    ['["*@example.com", "*@example.net"]', '["*"]', '["*@example.com", bob@example.com]'].map((users) => {
      const line = 'bob@example.com: expunge mailbox Trash savedbefore 30d';
      return [
        `what destroys is held to the domains where it was seen, of ${users}`,
        [observing(users), line, line],
      ];
    }),
  ),
};

const whole = ({ rules, allowed, text }: Suggestion): string =>
  `${rules} rules, ${allowed} allowed\n${text.trimEnd()}`;

void test('suggestions as a whole: suggestions.txt, which a person approved', () => {
  const asked = Object.entries(seen).map(([what, of]): Asked => [what, () => whole(suggestion(...of))]);
  compareAnswers('test/evidence/review/suggestions.txt', [
    ...asked,
    [
      'on_request stays, and what a grant allowed does not become access for good',
      () => whole(ofGrants().suggested),
    ],
  ]);
});

/** Rules of on_request; a command under a grant, and without. */
function ofGrants() {
  const settings =
    parse(`${sound}    on_request:
      - mailbox delete
      - { command: expunge, max_matches: 5, approvals: 2, for: 30m, scope: user, uses: 3, reason: { regex: "ticket [0-9]+" } }
    requests: { open: 2, wait: 2h }
    approve: [support]
`).settings ?? assert.fail();
  const sent = { user: 'bob@example.com', words: ['mailbox', 'delete', 'Old'], principal: 'carol@support' };
  const all = [{ ...sent, words: ['quota', 'get'] }, { ...sent, isGranted: true }, sent];
  const rows = all.map((each) => record(settings, 'support', each));
  return { settings, suggested: suggestedBy(settings, rows) };
}

void test('a suggestion is read back as what it was', () => {
  const { settings, suggested } = ofGrants();
  const hashes = (of: Settings | undefined) => of?.policies.get('support')?.onRequest.map(({ hash }) => hash);
  assert.deepEqual(hashes(parse(sound.replace(/policies:[^]*/, suggested.text)).settings), hashes(settings));

  const { text } = suggestion(...operators);
  const again = parseWithPreset(sound.replace(/policies:[^]*/, text)).policies.get('support');
  const commands = [again?.allow, again?.deny].map((rules) => rules?.map(({ command }) => command));
  const allowed = ['mailbox create', 'reload', 'sieve list', 'quota get', 'who'];
  assert.deepEqual(commands, [allowed, ['mailbox delete', 'index']]);
  assert.deepEqual([again?.weight, again?.contact], [3, 'helpdesk@example.com']);
});

void test('a command for all users in front of Dovecot 2.3 is never granted: it was refused each time', () => {
  for (const rule of ['quota get', '{ command: quota get, all_users: true }']) {
    const settings = settingsOf(sound.replace('"*@example.com"', '"*"').replace('[quota get]', `[${rule}]`));
    const all = record(settings, 'support', { user: '', words: ['quota', 'get', '-A'], series: ['2.3'] });
    const { text, allowed } = suggestedBy(settings, [all, all, all, all]);
    assert.equal(allowed, 0, text);
    assert.match(text, /# +4 times, last [^\n]*"quota get": Dovecot 2\.3 has no command for all users/);
    assert.doesNotMatch(text, /# - command: quota get/);
  }
});

void test('what doctor sent is not what people do', () => {
  const settings = settingsOf(sound.replace('allow:', 'mode: observe\n    allow:'));
  const sent = { user: 'bob@example.com', principal: 'root@support', reason: 'dovegate doctor' };
  const probe = record(settings, 'support', { ...sent, words: ['mailbox', 'list'] });
  const { text, rules } = suggestedBy(settings, [probe]);
  assert.equal(rules, 0);
  assert.doesNotMatch(text, /mailbox list/);
  assert.match(text, /^ {4}# Left out: 1, which `dovegate doctor` sent\.$/m);
});
