// Goal: whatever a record holds, what is sent is grammatical, within what receivers take, and holds the record byte for byte.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { encodeBody, lineBytesMax } from '../../../src/journal/records/encode.js';
import { Ledger } from '../../../src/journal/records/ledger.js';
import type { JournalRecord } from '../../../src/journal/records/record.js';
import { encodeFrames, messageBytesMax } from '../../../src/ship/shipping/syslog.js';
import { type Message, readFrames } from './rfc5424.js';

const sender = { hostName: 'gate1.example.com', processId: 812 };
const at = Date.UTC(2026, 10, 20, 8, 22, 34, 123);

function lineOf(record: Partial<JournalRecord>): Buffer {
  const ledger = new Ledger('dovegate test', undefined, 'ab'.repeat(16));
  return Buffer.from(ledger.seal(encodeBody({ time: at, event: 'admission', ...record })).trimEnd());
}

function messageOf(line: Buffer, by = sender): Message {
  const { messages, rest } = readFrames(encodeFrames([{ bytes: line }], by));
  assert.equal(rest.length, 0);
  const [message] = messages;
  assert.ok(message !== undefined && messages.length === 1);
  return message;
}

const ourData = (message: Message): Record<string, string> =>
  Object.fromEntries(message.data.get('dovegate@32473') ?? []);

void test('a record as one message, byte for byte', () => {
  const keys = { id: '01J0', principal: 'bob@support', command: 'quota get', user: 'alice@example.com' };
  const line = lineOf({ ...keys, decision: 'allow' });
  const data =
    'seq="1" event="admission" id="01J0" principal="bob@support" command="quota get" user="alice@example.com" decision="allow"';
  const text = `<110>1 2026-11-20T08:22:34.123Z gate1.example.com dovegate 812 admission [dovegate@32473 ${data}] ${String(line)}`;
  assert.equal(String(encodeFrames([{ bytes: line }], sender)), `${Buffer.byteLength(text)} ${text}`);
});

void test('several records are several frames, one behind the other', () => {
  const lines = [lineOf({}), lineOf({ event: 'stop' }), lineOf({ user: 'ö'.repeat(50) })];
  const { messages } = readFrames(
    encodeFrames(
      lines.map((bytes) => ({ bytes })),
      sender,
    ),
  );
  const texts = messages.map(({ text }) => String(text));
  assert.deepEqual(texts, lines.map(String));
});

const severities: Readonly<Record<string, string>> = {
  2: 'start error=journal-cut',
  3: 'log level=panic',
  4: 'limit, log level=warning, completion outcome=unknown, admission decision=deny',
  5: 'start, stop, operator, clock',
  6: 'checkpoint, session-open, log level=info, admission decision=allow, completion outcome=ok, completion outcome=denied',
};
void test('facility and severity tell a receiver what to look at', () => {
  for (const [severity, records] of Object.entries(severities))
    for (const text of records.split(', ')) {
      const [event = '', ...keys] = text.split(' ');
      const record = Object.assign({ event }, Object.fromEntries(keys.map((key) => key.split('='))));
      const { facility, severity: told, messageId } = messageOf(lineOf(record));
      assert.deepEqual([facility, told, messageId], [13, Number(severity), event], text);
    }
});

void test('what is hostile in a value is escaped or not shown; what is long is cut', () => {
  const shown = (user: string): string | undefined => ourData(messageOf(lineOf({ user })))['user'];
  assert.equal(shown('a"b\\c]d[e=f'), 'a"b\\c]d[e=f');
  assert.equal(
    shown('bell\u0007 nul\0 esc\u001b[2J csi\u009b'),
    'bell\ufffd nul\ufffd esc\ufffd[2J csi\ufffd',
  );
  assert.equal(shown('evil\u202etxt\u2028'), 'evil\ufffdtxt\ufffd');
  assert.equal(shown('Jürgen 李 🕊'), 'Jürgen 李 🕊');
  assert.equal(shown('x'.repeat(128)), 'x'.repeat(128));
  assert.equal(shown('x'.repeat(129)), `${'x'.repeat(125)}...`);
  assert.equal(shown('"'.repeat(70)), `${'"'.repeat(62)}...`);
  assert.equal(shown('🕊'.repeat(100)), `${'🕊'.repeat(31)}...`);
  // The journal itself has cut it.
  assert.equal(shown('y'.repeat(60_000)), `${'y'.repeat(125)}...`);
});

void test('names that the header cannot hold are the value for none', () => {
  for (const hostName of ['', 'two words', 'höst', 'x'.repeat(256), 'a\nb']) {
    assert.equal(messageOf(lineOf({}), { hostName, processId: 1 }).hostName, '-');
  }
  const odd = messageOf(Buffer.from('{"seq":9,"time":"yesterday","event":"no word","user":7}'));
  assert.deepEqual([odd.timestamp, odd.messageId, odd.severity], ['-', '-', 6]);
  assert.deepEqual(ourData(odd), { seq: '9', event: 'no word' });
  assert.deepEqual(ourData(messageOf(Buffer.from('no record at all'))), { seq: '' });
});

/** Text with everything in it that has a meaning somewhere on the way. */
const signs = '"|\\|]|[|=| |\n|\r|\t|\0|\u001b|\u009b|\ud800|🕊|\\"|<1>'.split('|');
const nasty = fc
  .array(
    fc.oneof(
      fc.constantFrom(...signs),
      fc.string({ unit: 'binary', maxLength: 8 }),
      fc.constant('é'.repeat(300)),
    ),
    { maxLength: 60 },
  )
  .map((parts) => parts.join(''));

void test('any record: grammatical, not too long, and in it the line as it is', () => {
  const rounds = 100 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
  fc.assert(
    fc.property(
      fc.record({ id: nasty, principal: nasty, command: nasty, user: nasty, text: nasty }),
      fc.array(nasty, { maxLength: 40 }),
      fc.stringMatching(/^[!-~]{1,255}$/),
      (values, args, hostName) => {
        const line = lineOf({ ...values, args, decision: 'allow', outcome: 'unparsable' });
        assert.ok(line.length < lineBytesMax);
        const message = messageOf(line, { hostName, processId: 4_194_304 });
        assert.ok(message.text.equals(line));
        assert.ok(message.bytes <= messageBytesMax, `${message.bytes} bytes`);
        const { seq, ...data } = ourData(message);
        assert.equal(seq, '1');
        for (const value of Object.values(data)) assert.doesNotMatch(value, /[\p{Cc}\p{Cf}]/u);
      },
    ),
    { numRuns: rounds },
  );
});
