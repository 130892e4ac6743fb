// Goal: a notice is made of the listed keys of a record of access, as plain text in every form. What must not happen: a secret of a command
// in a notice; a reason that is a link, markup or a mention in a chat, a header of a mail, or HTML; a break-glass that nobody is told of.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { allSeries, commandsOf } from '../../../src/doveadm/commands/catalog.js';
import { parseArguments } from '../../../src/doveadm/commands/parse.js';
import { canonicalWords } from '../../../src/doveadm/meaning/canonical.js';
import { recordKeys } from '../../../src/journal/records/keys.js';
import { noticeEvents } from '../../../src/rules/config/receiver.js';
import { chatJsonOf, jsonOf, mailOf } from '../../../src/ship/notices/forms.js';
import {
  addDropped,
  droppedNotice,
  isWanted,
  type Notice,
  noticeOf,
} from '../../../src/ship/notices/notice.js';
import { NoticeFault } from '../../../src/ship/notices/notice-fault.js';
import { plainSentence, plainText } from '../../../src/ship/notices/plain-text.js';
import { textOf } from '../../architecture/project.js';
import { hostileTexts } from '../../kit/gate/page-daemon.js';
import { type AccessFacts, accessLine, usualRequest } from '../../kit/plain/access-record.js';
import { lineOf, secretWords } from '../../kit/plain/secret-lines.js';
import { fencesOf } from '../../whole/cli/docs-steps.js';

const shownNotice = z.object({
  timestamp: z.string(),
  data: z
    .object({ host: z.string(), journal: z.string(), seq: z.number() })
    .catchall(z.union([z.string(), z.number(), z.array(z.string())])),
});

const source = { journal: 'ab'.repeat(16), host: 'gate1' };
const timeMs = Date.UTC(2026, 10, 26, 8, 30);

function noticeFor(facts: AccessFacts, seq = 7): Notice {
  const notice = noticeOf(accessLine(seq, timeMs, facts), source);
  assert.ok(notice !== undefined, facts.action);
  return notice;
}

/** Everything that leaves, in all forms. */
function formsOf(notice: Notice): string {
  const { subject, text } = mailOf(notice);
  return [jsonOf(notice), chatJsonOf(notice), subject, text].join('\n');
}

function chatText(notice: Notice): string {
  const { text }: { readonly text: string } = JSON.parse(chatJsonOf(notice));
  return text;
}

void test('a request, in JSON, in a chat and as a mail', () => {
  const notice = noticeFor(usualRequest);
  const { request } = usualRequest;
  const who = {
    principal: 'anna@support',
    listener: 'support',
    policy: 'support',
    users: ['bob@example.com'],
  };
  const what = { scope: 'command', command: 'fetch hdr.subject mailbox INBOX all', reason: 'ticket 4711' };
  const until = { for: '1h', decide_by: '2026-11-26T16:00:00.000Z', uses: 3, request };
  assert.deepEqual(JSON.parse(jsonOf(notice)), {
    type: 'access.requested',
    timestamp: '2026-11-26T08:30:00.000Z',
    data: { host: 'gate1', journal: source.journal, seq: 7, ...who, ...what, ...until },
  });
  const lines = `dovegate gate1: temporary access requested
time: 2026-11-26T08:30:00.000Z
by: anna@support
listener: support
policy: support
mailbox users: bob@example.com
scope: command
command: fetch hdr.subject mailbox INBOX all
reason: ticket 4711
asked for: 1h
to decide by: 2026-11-26T16:00:00.000Z
uses: 3
request: ${request}`;
  assert.equal(chatText(notice), lines.replaceAll(/(?<=\n.*?: ).*/g, '`$&`'));
  const { subject, text } = mailOf(notice);
  assert.equal(subject, 'dovegate gate1: temporary access requested (anna@support)');
  assert.match(text, /^reason: ticket 4711$/m);
});

void test('docs/access-approve.md shows a request as a program and as people in a chat get it', () => {
  const fences = fencesOf(textOf('docs/access-approve.md'));
  const shown = fences.find(({ language }) => language === 'json')?.text ?? '';
  const { data, timestamp } = shownNotice.parse(JSON.parse(shown));
  const { host, journal, seq, ...facts } = data;
  const id = `${journal}.${seq}`;
  const notice: Notice = { id, event: 'requested', timeMs: Date.parse(timestamp), host, facts };
  assert.equal(JSON.stringify(JSON.parse(shown)), jsonOf(notice));
  assert.equal(fences.find(({ language }) => language === 'text')?.text, `${chatText(notice)}\n`);
});

void test('which records make a notice, and which receiver gets it', () => {
  const eventOf = (facts: AccessFacts): string | undefined =>
    noticeOf(accessLine(1, timeMs, facts), source)?.event;
  const actions =
    'requested approved granted refused revoked expired used-up reviewed ended break-glass dropped other';
  const made = actions.split(' ').filter((action) => eventOf({ action }) !== undefined);
  assert.deepEqual(made, ['requested', 'granted', 'refused', 'revoked']);
  assert.deepEqual(
    made.map((action) => eventOf({ action })),
    made,
  );
  assert.equal(eventOf({ action: 'granted', approvals: 0 }), 'break-glass');
  assert.equal(eventOf({ action: 'granted', approvals: 2 }), 'granted');
  const glass = noticeFor({ action: 'granted', approvals: 0 });
  assert.equal(noticeEvents.filter((each) => isWanted(glass, [each])).join(' '), 'granted break-glass');
  assert.ok(!isWanted(noticeFor({ action: 'granted', approvals: 1 }), ['break-glass']));
  // Lines of other events, even with the words of one, and lines that are none.
  const admission = accessLine(1, timeMs, usualRequest).replace('"event":"access"', '"event":"admission"');
  for (const line of [admission, `{"seq":1,"x":"\\","event\\":\\"access\\""}`, '', '{', '[]', 'null'])
    assert.equal(noticeOf(line, source), undefined, line);
  for (const facts of [{ action: 'requested', users: 'x', command: 7, reason: [], until: {}, uses: -1 }])
    assert.deepEqual(noticeFor(facts).facts, {});
});

void test('a notice has the same id at each reading, and other records have others', () => {
  assert.equal(noticeFor(usualRequest, 7).id, `${source.journal}.7`);
  const dropped = addDropped(addDropped(undefined, 1000, 8), 2000, 11);
  const summary = droppedNotice(dropped, source);
  assert.equal(summary.id, `${source.journal}.11.dropped`);
  const times = { first: '1970-01-01T00:00:01.000Z', last: '1970-01-01T00:00:02.000Z' };
  assert.deepEqual(JSON.parse(jsonOf(summary)).data, { ...source, seq: 11, dropped: 2, ...times });
});

void test('texts are cut, and a long record makes a bounded notice', () => {
  const long = 'é'.repeat(100_000);
  const users = Array.from({ length: 50 }, (_, at) => `user${at}@example.com`);
  const notice = noticeFor({ ...usualRequest, reason: long, command: { cut: long, bytes: 1 }, users });
  const { reason = '', command = '', users: shown = [] } = notice.facts;
  assert.equal(Array.from(String(reason)).length, 1000);
  assert.equal(Array.from(String(command)).length, 1000 + 1);
  assert.deepEqual(Array.isArray(shown) && shown.slice(-1), ['and 40 more']);
  assert.equal(Array.isArray(shown) && shown.length, 10 + 1);
  const words = Object.keys(usualRequest).map((key) => [key, '\u{1F600}"\\'.repeat(10_000)]);
  const most = Object.fromEntries(words);
  const all = noticeFor({ ...most, action: 'requested', users: Array(1000).fill(long) });
  assert.ok(formsOf(all).length < 64 * 1024);
});

void test('no secret of any command of the catalog is in a notice, and no key but the listed ones', () => {
  const secrets: string[] = [];
  for (const series of allSeries)
    for (const command of commandsOf(series))
      for (const parameter of command.params) {
        const secret = `Xq${secrets.length}zW-${series}-hush`;
        const words = parameter.type === 'bool' ? undefined : secretWords(parameter, secret);
        if (words === undefined) continue;
        secrets.push(secret);
        const [name = '', ...args] = lineOf(command, parameter, words);
        const parsed = parseArguments(series, command, args);
        assert.ok('values' in parsed, `${name} ${args.join(' ')}`);
        const canonical = canonicalWords(parsed);
        const isHidden = canonical.some(({ isSecret }) => isSecret);
        assert.ok(isHidden || /wrong/.test(name), `${name} ${parameter.name}`);
        const shownWords = canonical.map(({ text, isSecret }) => (isSecret ? '(hidden)' : text));
        const shown = [name, ...shownWords].join(' ');
        // All other keys of any record, and some that no record has, hold it in clear.
        const others = ['args', 'input', 'text', 'error', 'query', 'password', 'body', 'peer', ...recordKeys];
        const stuffed = Object.fromEntries(others.map((key) => [key, [secret, { hmac: secret }]]));
        const notice = noticeFor({ ...stuffed, ...usualRequest, command: shown });
        assert.ok(!formsOf(notice).includes(secret), `${series} ${name} ${parameter.name}`);
        assert.ok(formsOf(notice).includes('(hidden)'));
      }
  assert.ok(secrets.length > 60, String(secrets.length));
});

const evil: readonly string[] = [
  ...hostileTexts,
  'x\r\nBcc: victim@example.net\r\n\r\n<h1>hello</h1>',
  'a\u2028Subject: b\u2029c\u0085d\u000be',
  'see http://evil.example/approve?id=1 and HTTPS:\\\\evil.example',
  'http:\u200b//evil.example ht\u00adtp://evil.example http: //evil.example',
  'www.evil.example evil.example/x WWW.EVIL.EXAMPLE evil\u3002example evil\uff0eexample',
  'mailto:a@evil.example tel:+1234 data:text/html,x javascript:alert(1) slack://open',
  '[Approve](http://evil.example) ![x](//evil.example/x.png) <http://evil.example|Approve>',
  '<!channel> <!here> <@U123> @channel @here @all #general :tada:',
  '``` `x` *bold* _it_ ~gone~ > quote\n# title\n- list',
  '&lt;script&gt; &#60;b&#62; &amp;',
  '\u202eevorppa\u202c \u2067x\u2069 \u200e\u200f\u061c',
];

void test('reasons are one plain line: no line end, control, bidirectional or invisible character, no markup, no link', () => {
  for (const text of evil) {
    const reason = plainSentence(text, 1000);
    assert.doesNotMatch(reason, /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}<>]/u, JSON.stringify(text));
    assert.doesNotMatch(reason, /:\s*[/\\]{2}|\bwww\.|\b(?:mailto|tel|data|javascript|slack):/i);
    assert.doesNotMatch(reason, /[\p{L}\p{N}][.\u3002\uff0e][\p{L}]{2}/u, JSON.stringify(text));
    assert.ok(Array.from(reason).length <= 1000);
  }
  const plain = 'ticket 4711: bob cannot read mail, e.g. of 16:00 (v2.3)';
  for (const [text, shown] of [
    ['see http://t.example/4711\n\tnow\u202e', 'see http[:]//t[.]example/4711 now'],
    [plain, plain],
    ['a\u00a0b\u3000\u2009c\u3164\u{e0041}\u2800d', 'a b cd'],
  ] as const)
    assert.equal(plainSentence(text, 100), shown);
  // Names of a command line keep their dots: an approver must read them as they are.
  const command = 'fetch hdr.subject from http://evil.example';
  assert.equal(plainText(command, 100), command.replace('://', '[:]//'));
});

void test('hostile texts do no harm in any form', () => {
  for (const text of evil) {
    const keys = [
      'reason',
      'command',
      'principal',
      'policy',
      'listener',
      'request',
      'grant',
      'until',
      'scope',
    ];
    const texts = Object.fromEntries(keys.map((key) => [key, text]));
    const notice = noticeFor({ ...usualRequest, ...texts, users: [text] });
    // JSON: whoever puts a value into HTML as it is gets no element.
    assert.doesNotMatch(jsonOf(notice), /[<>]/);
    // Chat: each value is within one pair of backticks on one line, and nothing has a meaning for Slack.
    const [head, ...lines] = chatText(notice).split('\n');
    assert.equal(head, 'dovegate gate1: temporary access requested');
    for (const line of lines) assert.match(line, /^[a-z ]+: (?:`[^`\n]+`(?:, )?)+$/);
    assert.doesNotMatch(chatText(notice), /[<>]|&(?!amp;|lt;|gt;)/);
    // Mail: headers are one line, and the body has a line for each fact only.
    const { subject, text: body } = mailOf(notice);
    assert.doesNotMatch(subject, /[\r\n<>]|:\/\//);
    assert.equal(body.split('\n').filter((line) => /^bcc|^subject/i.test(line)).length, 0);
    assert.doesNotMatch(formsOf(notice), /:\/\/|\bwww\./i);
  }
});

void test('a status has three digits: a mail server may say any number', () => {
  assert.equal(new NoticeFault('mail-refused', 550).status, 550);
  assert.equal(new NoticeFault('mail-refused', 550).isRefusal, true);
  for (const status of [99, 1_000, 1e300, -1, Number.NaN])
    assert.equal(new NoticeFault('mail-refused', status).status, undefined, String(status));
});
