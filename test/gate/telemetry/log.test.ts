// What the log writes of texts that clients and backends chose, on a terminal and as JSON, in a process of its own.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { EngineEvent } from '../../../src/gate/outcome/events.js';
import type { DaemonEvent } from '../../../src/gate/telemetry/log.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import type { Settings } from '../../../src/rules/config/settings.js';
import { keyBytes, makeKey } from '../../../src/rules/keys/key.js';
import { runProgram } from '../../kit/plain/program.js';
import { projectRoot } from '../../kit/plain/root.js';

const log = fileURLToPath(new URL('build/src/gate/telemetry/log.js', projectRoot));

/** Writes events to stdout as the daemon does. */
const writer = `
const [log, reader, event, reports, settings] = process.argv.slice(1).map((text) => JSON.parse(text));
const { createLog } = await import(log);
const { systemClock } = await import(log.replace('gate/telemetry/log.js', 'host/machine/clock.js'));
const made = createLog('info', reader, systemClock);
if (settings !== undefined) made.configure(settings);
made.observe(event);
for (const report of reports) made.report(report);
await made.flush();
`;

const hostile = 'a\u202eb\u2066c\u200bd\u001b[2Je\u009bf\u0007g\u007fh\u2028i\ufeffj\rk\nl\u061cm';
/** Characters that a terminal obeys, or that change how others are shown. */
const obeyed = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/;

const exchange = {
  session: 's',
  id: 'i',
  principal: hostile,
  listener: 'support',
  user: hostile,
  command: hostile,
};
const backendLog = {
  kind: 'backend-log',
  level: 'error',
  ...exchange,
  backend: 'mail1',
  upstream: 'u1',
  type: 'error',
  text: hostile,
};

const key = makeKey(Buffer.alloc(keyBytes, 13));

/** The line of the backend, one of the daemon itself that has several lines, and one with a key of an HTTP listener that somebody said. */
async function written(reader: 'terminal' | 'program', settings?: Settings['log']): Promise<string> {
  const refused = 'the configuration is not replaced: ';
  const reports: readonly DaemonEvent[] = [
    { event: 'reload-failed', level: 'error', text: `${refused}a\n  b${hostile}` },
    { event: 'reload-failed', level: 'error', text: `${refused}${key}`, who: key },
  ];
  const more = settings === undefined ? [] : [settings];
  const args = [log, reader, backendLog, reports, ...more].map((each) => JSON.stringify(each));
  const { text, exit } = await runProgram(process.execPath, ['--input-type=module', '-e', writer, ...args]);
  assert.equal(exit, 0, text);
  assert.ok(text.includes(`replaced: ${key.slice(0, 13)}[key]`), text);
  assert.ok(!text.includes(key.slice(13, 20)), text);
  return text;
}

test('as JSON the same text comes back, each line holds nothing that a terminal obeys, and no key', async () => {
  const lines = (await written('program')).trimEnd().split('\n');
  assert.equal(lines.length, 3);
  for (const line of lines) assert.doesNotMatch(line, obeyed);
  const { text, user, principal, command } = JSON.parse(lines[0] ?? '');
  assert.deepEqual([text, user, principal, command], [hostile, hostile, hostile, hostile]);
});

test('as text each message is one line that holds nothing that a terminal obeys, and no key', async () => {
  const unstamped = (text: string) => text.trimEnd().replaceAll(/^\S+ /gm, '').split('\n');
  const lines = unstamped(await written('program', { level: 'info', format: 'text' }));
  assert.deepEqual(unstamped(await written('terminal')), lines);
  assert.equal(lines.length, 3);
  for (const line of lines) assert.doesNotMatch(line, obeyed);
  const [said = '', several = ''] = lines;
  const shown =
    'a\\u{202e}b\\u{2066}c\\u{200b}d\\x1b[2Je\\x9bf\\x07g\\x7fh\\u{2028}i\\u{feff}j\\rk\\nl\\u{61c}m';
  const names = `principal ${shown}, command ${shown}, user ${shown}, backend mail1, upstream u1, listener support, id i`;
  assert.equal(said, `error backend-log: ${shown} (${names})`);
  assert.match(several, /^error reload-failed: the configuration is not replaced: a; ba\\u\{202e\}b/);
});

test('of a signed checkpoint and of an event without words, the text says what a person can read', async () => {
  const closed = { kind: 'upstream-closed', level: 'info', backend: 'mail1', reason: 'peer-ended' };
  const reports = [{ event: 'audit-checkpoint', level: 'info', text: 'dovegate\\n1\\nabc= \u2014 key Zm9v' }];
  const args = [log, 'program', closed, reports, { level: 'info', format: 'text' }].map((each) =>
    JSON.stringify(each),
  );
  const { text } = await runProgram(process.execPath, ['--input-type=module', '-e', writer, ...args]);
  assert.deepEqual(
    text
      .trimEnd()
      .split('\n')
      .map((line) => line.replace(/^\S+ /, '')),
    [
      'info upstream-closed: peer-ended (backend mail1)',
      'info audit-checkpoint: the records so far are signed',
    ],
  );
});

test('an event is a line with its code, its level and its keys as they are', async () => {
  const keys = { backend: 'mail1', upstream: 'mail1-1', reason: 'peer-ended', exchanges: 3 } as const;
  const closed: EngineEvent = { kind: 'upstream-closed', level: 'info', ...keys };
  const args = [log, 'program', closed, []].map((each) => JSON.stringify(each));
  const { text } = await runProgram(process.execPath, ['--input-type=module', '-e', writer, ...args]);
  const { time, ...line } = JSON.parse(text);
  assert.equal(typeof time, 'string');
  assert.deepEqual(line, { level: 'info', event: 'upstream-closed', ...keys });
});

/** 20 MB of lines at once, none above the limit of its code; then says on stderr how many were not written. */
const flood = `
const [log] = process.argv.slice(1).map((text) => JSON.parse(text));
const { createLog } = await import(log);
const { systemClock } = await import(log.replace('gate/telemetry/log.js', 'host/machine/clock.js'));
const made = createLog('debug', 'program', systemClock);
for (let n = 0; n < 20_000; n += 1)
  made.report({ event: 'session-closed', level: 'debug', listener: String(n % 20), text: 'x'.repeat(1_000) });
process.stderr.write(String(made.dropped));
await made.flush();
`;

/** Writes a line every 10 ms until one is dropped; then says on stderr how many were. */
const one = `
const [log] = process.argv.slice(1).map((text) => JSON.parse(text));
const { createLog } = await import(log);
const { systemClock } = await import(log.replace('gate/telemetry/log.js', 'host/machine/clock.js'));
const made = createLog('info', 'program', systemClock);
const again = setInterval(() => {
  made.report({ event: 'reloaded', level: 'info', text: 'x' });
  if (made.dropped === 0) return;
  process.stderr.write(String(made.dropped));
  clearInterval(again);
}, 10);
`;

// bounds.logWaitingBytes
test('lines for a stdout that nobody reads wait up to a size, and the others are counted', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', flood, JSON.stringify(log)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.pause();
  const [told] = await once(child.stderr, 'data');
  const dropped = Number(String(told));
  let bytes = 0;
  let lines = 0;
  for await (const chunk of child.stdout) {
    bytes += chunk.length;
    for (const byte of chunk) if (byte === 0x0a) lines += 1;
  }
  assert.equal(lines + dropped, 20_000);
  // What the pipe took, and what was being written just then.
  assert.ok(
    bytes > bounds.logWaitingBytes / 2 && bytes < bounds.logWaitingBytes + (1 << 20),
    `${bytes} bytes`,
  );
});

test('a line for a stdout that is gone is counted', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', one, JSON.stringify(log)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.destroy();
  const [told] = await once(child.stderr, 'data');
  assert.equal(String(told), '1');
});
