// Goal: a command goes out encoded afresh, and its end tells what becomes of the upstream. Phases: the line that is sent; what of
// the log channel the client hears; every way to end. What must not happen: an upstream handed on after anything odd, another user's
// name or a backend's text where policy filters.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { converse, type LogMode, RelayCount } from '../../../src/gate/relay/relay.js';
import { logPacket, replyPacket, rowsOf } from '../../kit/gate/memory-backend.js';
import { settle } from '../../kit/plain/fake-clock.js';
import { type Fields, openConversation, type Setting } from './conversation.js';

/** A conversation that runs, with a client of minor 2. */
function start(setting: Setting = {}) {
  const opened = openConversation(setting);
  return { ...opened, running: converse(opened.conversation) };
}

void test('the line: flags as asked and granted, extra fields only where they are understood', () => {
  const lines: readonly (readonly [Setting, string])[] = [
    [{}, '\talice@example.org\tquota get\t--\n'],
    [{ command: { verbose: true } }, 'v\talice@example.org\tquota get\t--\n'],
    [{ command: { debug: true, verbose: true } }, 'D\talice@example.org\tquota get\t--\n'],
    [{ command: { proxyTtl: 4 } }, '\talice@example.org\tquota get\t--\n'],
    [{ serverMinor: 3, command: { proxyTtl: 4 } }, 'x\tproxy-ttl=4\talice@example.org\tquota get\t--\n'],
    [{ command: { args: ['--', 'a\tb\nc', ''] } }, '\talice@example.org\tquota get\t--\ta\x01tb\x01nc\t\n'],
  ];
  for (const [setting, line] of lines) assert.equal(start(setting).sent(), line);
});

void test('the log channel: nothing, a sentence of ours, or the lines, but for those that name another user', async () => {
  const told: readonly (readonly [LogMode, string])[] = [
    ['none', ''],
    ['filtered', '\x04dovegate: the backend says: no such user [backend-failed]\n'],
    [
      'full',
      '\x03doveadm(alice@example.org): text of the backend\n\x04dovegate: the backend says: no such user [backend-failed]\n',
    ],
  ];
  for (const [logs, expected] of told) {
    const story = start({ logs });
    story.backend.send(
      Buffer.concat([
        logPacket('warning', 'doveadm(alice@example.org): text of the backend'),
        logPacket('error', 'doveadm(bob@example.org): of another'),
        replyPacket('\n-NOUSER\n'),
      ]),
    );
    await story.running;
    const { out, log } = story.got();
    assert.deepEqual([out, log], ['\n-NOUSER\n', expected]);
    // The observer hears all of them in every mode.
    assert.equal(story.heard.length, 2);
  }
  const good = start({ logs: 'filtered' });
  good.backend.send(Buffer.concat([logPacket('warning', 'text of the backend'), replyPacket('\n+\n')]));
  await good.running;
  assert.equal(good.got().all, '\n+\n');
});

// bounds.logLines
void test('log lines beyond the limit of a command are counted, and go nowhere', async () => {
  const count = new RelayCount();
  const story = start({ logs: 'full', count });
  for (let n = 1; n <= 50; n += 1) story.backend.send(logPacket('info', `line ${n}`));
  story.backend.send(Buffer.concat([logPacket('error', 'Quota exceeded'), replyPacket('row\t\n-\n')]));
  const { value } = await story.running;
  assert.equal(value.kind, 'replied');
  assert.deepEqual([count.logs?.get('info'), count.logs?.get('error')], [50, 1]);
  const last =
    'dovegate: more than 3 log lines for this command (limits.log_lines); the others are only counted [log-lines]';
  assert.deepEqual(story.heard, ['line 1', 'line 2', 'line 3', last]);
  assert.deepEqual(
    story
      .got()
      .log.split('\n')
      .map((line) => line.slice(1)),
    ['line 1', 'line 2', 'line 3', last, 'dovegate: the backend says: over quota [over-quota]', ''],
  );
  // What the status is explained by is looked at even so.
  const short = start({ logs: 'filtered' });
  for (let n = 1; n <= 5; n += 1) short.backend.send(logPacket('info', `line ${n}`));
  short.backend.send(Buffer.concat([logPacket('error', 'Quota exceeded'), replyPacket('\n-\n')]));
  await short.running;
  assert.match(short.got().log, /the backend says: over quota \[over-quota\]/);
});

void test('the name of the user in front of each row', async () => {
  const story = start({ command: { prefixed: rowsOf(2) } });
  story.backend.send(replyPacket('a\tb\tc\td\t\n+\n'));
  await story.running;
  assert.equal(story.got().out, 'alice@example.org\ta\tb\talice@example.org\tc\td\t\n+\n');
});

// [what it shows, minor of the server, what the command is, reply, what becomes of the upstream]
const ends: readonly (readonly [string, number, Partial<Fields>, string, string | undefined])[] = [
  ['a clean end', 2, {}, 'row\t\n+\n', undefined],
  ['a clean end', 3, {}, 'row\t\n+\n', undefined],
  // A second status line follows a failure of some releases of minor 2 and below.
  ['PROTOCOL 8.1, 12 trap 7', 2, {}, '\n-NOUSER\n', 'not-reusable'],
  ['PROTOCOL 8.1, 12 trap 7', 1, {}, '\n-NOTFOUND\n', 'not-reusable'],
  ['one status', 3, {}, '\n-NOUSER\n', undefined],
  // A process whose Dovecot was stopped lives on, and says this to everything.
  ['PROTOCOL 9, 12 trap 27', 3, {}, '\n-TEMPFAIL\n', 'not-reusable'],
  ['bytes behind the status', 3, {}, '\n+\nmore\t', 'not-reusable'],
  ['PROTOCOL 8.1, 12 trap 8: a server command', 3, { isLast: true }, '\n+\n', 'not-reusable'],
];
for (const [what, serverMinor, changes, reply, closeFor] of ends) {
  void test(`${what}: minor ${serverMinor}, ${JSON.stringify(reply)}: ${closeFor ?? 'reusable'}`, async () => {
    const story = start({ serverMinor, command: changes });
    story.backend.send(replyPacket(reply));
    const end = await story.running;
    assert.equal(end.closeFor, closeFor);
    assert.equal(end.value.kind, 'replied');
    // The limit of the reply ended with it.
    await story.clock.advance(3_600_000);
    assert.deepEqual([story.upstream.state.at, story.clock.timers], ['leased', 0]);
  });
}

void test('a referral is an ending of its own, and the client does not see it', async () => {
  const story = start({ serverMinor: 3 });
  story.backend.send(replyPacket('\n-REFERRAL alice@mail2.example.com\n'));
  assert.deepEqual(await story.running, {
    value: { kind: 'referral', backend: 'mail1', target: { user: 'alice', host: 'mail2.example.com' } },
    closeFor: undefined,
    answer: 'other',
  });
  assert.equal(story.got().all, '');
});

void test('what breaks off: a word for the record, and one for the upstream', async () => {
  const late = start();
  await settle();
  await late.clock.advance(1_000);
  assert.deepEqual(await late.running, {
    value: { kind: 'reply-timeout', backend: 'mail1' },
    closeFor: 'reply-timeout',
  });
  const faults: readonly (readonly [(story: ReturnType<typeof start>) => void, string])[] = [
    [(story) => story.backend.end(), 'peer-gone'],
    [(story) => story.backend.vanish(), 'peer-gone'],
    [(story) => story.backend.send(replyPacket('\n!\n')), 'wire-fault'],
  ];
  for (const [fail, closeFor] of faults) {
    const story = start();
    fail(story);
    const end = await story.running;
    assert.equal(end.closeFor, closeFor);
    assert.ok(end.value.kind === 'fault' && end.value.isSent && end.value.backend === 'mail1');
    assert.equal(story.clock.timers, 0);
  }
});

void test('given up from outside: that is how it ended, not the fault that it looks like', async () => {
  const story = start({ cutOff: () => ({ kind: 'cut-off', isSent: true }) });
  story.upstream.close('aborted', true);
  assert.deepEqual(await story.running, { value: { kind: 'cut-off', isSent: true }, closeFor: 'aborted' });
});

void test('a command that does not leave: the deadline ends the wait', async () => {
  const story = start();
  story.backend.vanish();
  const end = await story.running;
  assert.equal(end.value.kind, 'fault');
});

void test('full: where no error line of this command was passed on, the sentence is ours', async () => {
  const ours = '\x04dovegate: the backend says: no such user [backend-failed]\n';
  for (const [text, isPassed] of [
    ['doveadm(4711): text', false],
    ['doveadm(alias@example.org)<1><s>: text', false],
    ['doveadm(alice)<1><s>: text', false],
    ['doveadm(alice@example.org)<1><s>: text', true],
    ['text without a prefix', true],
  ] as const) {
    const story = start({ logs: 'full' });
    story.backend.send(Buffer.concat([logPacket('error', text), replyPacket('\n-NOUSER\n')]));
    await story.running;
    assert.equal(story.got().log, isPassed ? `\x04${text}\n` : ours, text);
  }
});

void test('what doveadm_allowed_commands refuses did not run; the same words of anything else prove nothing', async () => {
  const refused = "doveadm client isn't allowed to use command: quota get";
  for (const [sent, kind] of [
    [[logPacket('error', refused)], 'backend-refused'],
    [[logPacket('error', `doveadm: doveadm: ${refused}`)], 'backend-refused'],
    [[logPacket('error', `doveadm(127.0.0.1): ${refused}`)], 'backend-refused'],
    [[logPacket('error', `${refused} x`)], 'fault'],
    [[logPacket('error', `Mailbox ${refused}`)], 'fault'],
    [[logPacket('error', refused.replace('get', 'recalc'))], 'fault'],
    [[logPacket('warning', refused)], 'fault'],
    [[logPacket('info', 'begun'), logPacket('error', refused)], 'fault'],
    [[logPacket('error', refused), logPacket('error', refused)], 'fault'],
    [[replyPacket('cell\t'), logPacket('error', refused)], 'fault'],
  ] as const) {
    const story = start();
    story.backend.send(Buffer.concat(sent));
    story.backend.end();
    const { value, closeFor } = await story.running;
    assert.equal(value.kind, kind, String(Buffer.concat(sent)));
    assert.notEqual(closeFor, undefined);
  }
});
