// Goal: the suggestion reads as a policy, keeps what today's policy refuses, and says what it leaves out.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Sightings } from '../../../src/evidence/review/sightings.js';
import { type Suggestion, suggest } from '../../../src/evidence/review/suggest.js';
import type { ExchangeRow } from '../../../src/evidence/trail/search.js';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import type { Settings } from '../../../src/rules/config/settings.js';
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

void test('the whole text', () => {
  const { text, rules, allowed } = suggestion(
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
  );
  assert.deepEqual([rules, allowed], [2, 4]);
  assert.equal(
    text,
    `# Suggested by what listener support did from 2026-11-20 11:49 UTC to 2026-11-20 12:00 UTC: 11 records, of which this allows 4.
# Read it before it takes the place of policy support (/etc/dovegate/d.yaml:9).
# As it stands it can be named as shadow:, judged on the past (test --replay DIR --candidate FILE), and pasted.
policies:
  support:
    mode: enforce
    users: ["*@example.com"]
    except: [ceo@example.com]
    deny: [mailbox delete, { command: sieve delete, where: { scriptname: [main] } }]
    limits: { rate: 60/minute, distinct_users: 5/day, at_once: 2 }
    logs: full
    debug: true
    allow:
      # 2 times for 2 users by 2 principals, last 2026-11-20 12:00 UTC; effect: read
      - quota get
      # Not granted, since it was seen once: a monthly job?
      # once for 1 user by carol@support, last 2026-11-20 11:58 UTC; effect: read
      # widened: 1 user to *@example.com
      # note: it tells what mails say: field hdr
      # - command: fetch
      #   where: { field: [hdr.subject, uid], query: { mailbox: [INBOX] } }
      #   content: true
      # 2 times for 2 users by 2 principals, last 2026-11-20 11:57 UTC; effect: write
      # widened: 2 users to *@example.com
      - command: mailbox create
        where: { mailbox: [Old stuff] }
      # Not granted, since it was seen once: a monthly job?
      # once for 1 user by dave@support, last 2026-11-20 11:49 UTC; effect: destroy
      # widened: 1 user to *@example.com
      # note: refused unless named, as here: delete-empty-mailbox
      # - command: expunge
      #   where: { delete-empty-mailbox: present, query: { mailbox: [Trash], deleted: present } }
      # WARNING, not granted: it amounts to root on the mail server.
      # once by dave@support, last 2026-11-20 11:53 UTC; effect: admin
      # - command: reload
      #   root_equivalent: true
      # WARNING, not granted: it concerns all users at once, and needs a policy with users: ["*"] and no except.
      # once for 1 user by carol@support, last 2026-11-20 11:52 UTC; effect: read
      # - command: quota get
      #   all_users: true
    # Seen and not suggested:
    #   once, last 2026-11-20 11:55 UTC, "mailbox delete": a rule of policy support denies "mailbox delete" (/etc/dovegate/d.yaml:16)
    #   once, last 2026-11-20 11:54 UTC, "quota get": policy support excepts a user of this command (/etc/dovegate/d.yaml:12)
    #   once, last 2026-11-20 11:50 UTC, "who": no rule allows "who"; policy support observes, and this goes beyond that: it is for a mask of users; no rule here can allow it for this mask of users: it needs users: ["*"] and no except in policy support
    # Left out: 1, no command that could be read then.
`,
  );
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

void test('on_request stays as it is, and what a grant allowed does not become access for good', () => {
  const settings =
    parse(`${sound}    on_request:
      - mailbox delete
      - { command: expunge, max_matches: 5, approvals: 2, for: 30m, scope: user, uses: 3, reason: { regex: "ticket [0-9]+" } }
    requests: { open: 2, wait: 2h }
    approve: [support]
`).settings ?? assert.fail();
  const words = ['mailbox', 'delete', 'Old'];
  const sent = { user: 'bob@example.com', words, principal: 'carol@support' };
  const all = [{ ...sent, words: ['quota', 'get'] }, { ...sent, isGranted: true }, sent];
  const { text, rules } = suggestedBy(
    settings,
    all.map((each) => record(settings, 'support', each)),
  );
  assert.equal(rules, 1);
  assert.ok(
    text.includes(`    users: ["*@example.com"]
    on_request: [mailbox delete, { approvals: 2, command: expunge, for: 30m, max_matches: 5, reason: { regex: "ticket [0-9]+" }, scope: user, uses: 3 }]
    requests: { open: 2, wait: 2h }
    approve: [support]
    allow:
`),
    text,
  );
  assert.match(text, /"mailbox delete": it was allowed under a grant; on_request is kept\n/);
  assert.match(text, /"mailbox delete": no rule allows "mailbox delete"\n/);
  // It is read back with the same rules.
  const again = parse(sound.replace(/policies:[^]*/, text)).settings?.policies.get('support');
  assert.deepEqual(
    again?.onRequest.map(({ hash }) => hash),
    settings.policies.get('support')?.onRequest.map(({ hash }) => hash),
  );
});

void test('nothing that was allowed gives no new rule; what was denied is one in comments, as explain has it', () => {
  const { text, rules, allowed } = suggestion(
    'users: ["*@example.com"]\n    allow: [quota get]',
    'bob@example.com: sieve list',
  );
  assert.deepEqual([rules, allowed], [0, 0]);
  assert.ok(
    text.endsWith(`    allow:
      # Not granted, since it was denied: no rule allows "sieve list".
      # once for 1 user by carol@support, last 2026-11-20 12:00 UTC; effect: read
      # - sieve list
      # not used at listener support since 2026-11-20 12:00 UTC
      - quota get
`),
    text,
  );
});

void test('the users of the policy stay; other users are a comment with their count', () => {
  const observing = (users: string): string => `mode: observe\n    users: ${users}\n    allow: [quota get]`;
  const lines = [
    'bob@example.com: quota get',
    'eve@example.com: mailbox list',
    'mallory@example.net: quota get',
    'trent@example.net: mailbox list',
    'dora@example.org: sieve list',
  ];
  const narrow = suggestion(observing('["*@example.com"]'), ...lines);
  assert.deepEqual([narrow.rules, narrow.allowed], [2, 2]);
  assert.match(
    narrow.text,
    /^ {4}users: \["\*@example\.com"\]\n {4}# Seen for other users, and not added: "\*@example\.net" \(2 commands\), "\*@example\.org" \(1 command\)$/m,
  );
  assert.match(narrow.text, /^ {4}# {3}once, .*"sieve list": policy support does not hold for a user/m);
  assert.doesNotMatch(narrow.text, /^ *[^# ].*(?:example\.net|example\.org|sieve)/m);

  const all = suggestion(observing('["*"]'), ...lines);
  assert.deepEqual([all.rules, all.allowed], [3, 5]);
  assert.match(
    all.text,
    /^ {4}users: \["\*"\]\n {4}# Domains seen: "\*@example\.com" \(2 commands\), "\*@example\.net" \(2 commands\), "\*@example\.org" \(1 command\)\n {4}allow:$/m,
  );

  // Any number of domains is one line.
  const many = Array.from({ length: 25 }, (_, at) => `bob@d${at}.example: quota get`);
  assert.match(suggestion(observing('["*@example.com"]'), ...many).text, /\(1 command\), 5 more$/m);
});

/** The lines of the rule of a command. */
function ruleOf({ text }: Suggestion, command: string): string[] {
  const [, rule = ''] = new RegExp(`^ {6}- command: ${command}\n((?: {8}.*\n)*)`, 'm').exec(text) ?? [];
  return rule
    .split('\n')
    .slice(0, -1)
    .map((line) => line.trim());
}

void test('what an operator wrote stays as it is; only what no rule allows is new', () => {
  const { text, rules, allowed } = suggestion(
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
  );
  assert.deepEqual([rules, allowed], [3, 3]);
  assert.ok(
    text.includes(`    users: ["*@example.com"]
    use: [presets/desk]
    # not used at listener support since 2026-11-20 11:57 UTC: who
`),
    text,
  );
  assert.ok(
    text.includes(`    deny: [mailbox delete]
    contact: helpdesk@example.com
    weight: 3
    allow:
      # once for 1 user by carol@support, last 2026-11-20 12:00 UTC; effect: write
      - command: mailbox create
        expires: "2099-01-01"
        limit: 5/day
        reason: required
        where: { mailbox: ["Projects/*"] }
      # once by dave@support, last 2026-11-20 11:59 UTC; effect: admin
      - command: reload
        root_equivalent: true
      # Not granted, since it was denied: no rule allows "mailbox create" like this: mailbox must be Projects/*.
      # once for 1 user by dave@support, last 2026-11-20 11:57 UTC; effect: write
      # - command: mailbox create
      #   where: { mailbox: [Other] }
      #   reason: required
      #   limit: 5/day
      #   expires: "2099-01-01"
      # not used at listener support since 2026-11-20 11:57 UTC
      - sieve list
`),
    text,
  );
  // Read back, it is what it was.
  const again = parseWithPreset(sound.replace(/policies:[^]*/, text)).policies.get('support');
  assert.deepEqual(
    again?.allow.map(({ command }) => command),
    ['mailbox create', 'reload', 'sieve list', 'quota get', 'who'],
  );
  assert.deepEqual([again?.weight, again?.contact], [3, 'helpdesk@example.com']);
  assert.deepEqual(
    again?.deny.map(({ command }) => command),
    ['mailbox delete', 'index'],
  );
});

void test('a job that names the day is one job: seen on three days, it is not seen once', () => {
  const policy = 'mode: observe\n    users: ["*@example.com"]\n    allow: [quota get]';
  const move = (day: string): string => `bob@example.com: move Archive/${day} mailbox INBOX savedbefore 90d`;
  const { text } = suggestion(policy, move('2026-11-18'), move('2026-11-19'), move('2026-11-20'));
  assert.match(
    text,
    /^ {6}# 3 times for 1 user .*\n {6}# widened: 1 user to \*@example\.com\n {6}# CHECK: "Archive\/2026-11-18" holds a day.* \{ regex: "Archive\/\[0-9\]\{4\}-\[0-9\]\{2\}-\[0-9\]\{2\}" \} has all 3.*\n {6}- command: move\n {8}where: \{ destination-mailbox: \[Archive\/2026-11-18, Archive\/2026-11-19, Archive\/2026-11-20\], query: \{ mailbox: \[INBOX\], savedbefore: \{ at_least: 90d \} \} \}$/m,
  );
  const weekly = suggestion(policy, move('Mon'), move('Tue'));
  assert.match(
    weekly.text,
    /^ {6}# 2 times .*\n.*\n {6}# CHECK: "Archive\/Mon" holds a day.*\n {6}- command: move\n.*\[Archive\/Mon, Archive\/Tue\]/m,
  );
  // Two days in one line could be crossed.
  const both = suggestion(policy, ...['Mon', 'Tue'].map((day) => move(day).replace('INBOX', `In/${day}`)));
  assert.match(both.text, /# - command: move\n.*\n(?: +#.*\n)* +# - command: move\n/);
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

void test('what destroys is held to the domains where it was seen', () => {
  const where = 'where: { query: { mailbox: [Trash], savedbefore: { at_least: 30d } } }';
  for (const [users, more] of [
    ['["*@example.com", "*@example.net"]', ['users: ["*@example.com"]']],
    ['["*"]', ['users: ["*@example.com"]']],
    ['["*@example.com", bob@example.com]', []],
  ] as const) {
    const policy = `mode: observe\n    users: ${users}\n    allow: [quota get]`;
    const line = 'bob@example.com: expunge mailbox Trash savedbefore 30d';
    const suggested = suggestion(policy, line, line);
    assert.deepEqual(ruleOf(suggested, 'expunge'), [where, ...more], users);
  }
});
