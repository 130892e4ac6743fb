// Goal: the built daemon and the built program give one answer to a command line. Phases: each of 30 lines from a client of each age to the
// daemon, and as a question over the socket; `explain --config`, `test` and `test --replay` of what the daemon recorded. What must not
// happen: an answer that another one contradicts; an exit code that a script would misread.
import assert from 'node:assert/strict';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Daemon, startDaemon } from '../../kit/gate/daemon.js';
import { auditRecords } from '../../kit/gate/gateway.js';
import { openScriptedDovecot } from '../../kit/gate/scripted-dovecot.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { openFolder } from '../../kit/plain/folder.js';
import {
  type AnsweredLine,
  answerFor,
  answerMinors,
  answerTables,
  fateOfRecords,
  readLine,
} from '../../kit/plain/one-answer.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { onlyRoot } from '../../kit/plain/skipped.js';

const asRoot = onlyRoot('can be several users');
const { wide } = answerTables;
/** Every third line of the table; an upload needs its text, and is a scenario of its own. */
const lines = wide.lines.filter(([, , words], at) => at % 3 !== 1 && !words.startsWith('save')).slice(0, 30);
const series = '2.4';
const seriesAt = 1;
const audit =
  'state: state\naudit: { directory: audit, memory: audit.ring, memory_size: 1MiB, reserve: 4KiB }\n';

/** Of one client ten refusals are recorded in a second, the others counted: so each user asks nine times. */
const uidOf = (row: number): number => 64_001 + Math.floor(row / 3);

/** As doveadm and `explain` end where the daemon answers so. */
const exitOf: Readonly<Record<string, number>> = { '+': 0, '-NOPERM': 77, '-USAGE': 64, '-TEMPFAIL': 75 };

function configuration(): string {
  const tests = lines.flatMap((line) => {
    const { user, words } = readLine(line);
    return answerMinors.map((client, at) => {
      const expect = answerFor(line[0], seriesAt, at);
      return `  - ${JSON.stringify({ listener: 'support', user, command: words, client, expect })}\n`;
    });
  });
  const settings = wide.settings(series).replace('unix: support.sock,', 'unix: support.sock, mode: "0666",');
  return `${settings}${audit}tests:\n${tests.join('')}`;
}

/** Sends it; the status of the answer. */
async function send(daemon: Daemon, minor: number, line: AnsweredLine, uid?: number): Promise<string> {
  const client = await openRawClient({ path: daemon.path('support.sock'), minor, uid });
  const { user, words } = readLine(line);
  client.sendCommand({ user, fields: words });
  // The end of its text.
  if (words[0] === 'save') client.send('.');
  const { status } = await client.readReply();
  client.close();
  return status;
}

/** What the records say of so many commands, in their order. */
async function recorded(daemon: Daemon, count: number): Promise<string[]> {
  for (;;) {
    const records = auditRecords(daemon);
    const ended = new Map(
      records.filter(({ event }) => event === 'completion').map((each) => [each['id'], each]),
    );
    const admissions = records.filter(({ event }) => event === 'admission');
    if (ended.size >= count)
      return admissions.map((each) => fateOfRecords(each, ended.get(each['id']) ?? {}));
    await sleep(20);
  }
}

async function asked(daemon: Daemon, minor: number, line: AnsweredLine): Promise<string> {
  const client = await openRawClient({ path: daemon.path('support.sock'), minor });
  const { user, words } = readLine(line);
  const named = user === '' ? [] : ['-u', user];
  const { body } = await client.ask({ user: '', fields: ['dovegate explain', ...named, '--', ...words] });
  client.close();
  const said = body.toString();
  const [, decision = said] = /^decision\t([a-z]+)\t/.exec(said) ?? [];
  return /\tobstacle\t[a-z-]+\t/.test(said) ? 'obstacle' : decision;
}

/** The exit code of `explain`. */
async function explained(line: AnsweredLine, ...asking: string[]): Promise<number | null> {
  const { user, words } = readLine(line);
  const about = user === '' ? [] : ['--user', user];
  return (await runWarm(['explain', ...asking, ...about, '--', ...words])).exit;
}

void test('30 lines, three clients: the daemon, explain, test and replay say the same', asRoot, async (t) => {
  assert.equal(lines.length, 30);
  const folder = openFolder(t);
  // Before the daemon dials them.
  for (const name of ['mail1', 'mail2']) {
    await openScriptedDovecot({ unix: join(folder, `${name}.sock`), minor: 4, owner: t });
  }
  const daemon = await startDaemon(t, { folder, config: configuration() });
  chmodSync(daemon.folder, 0o711);
  const wrong: string[] = [];
  const compare = (line: AnsweredLine, at: number, who: string, answer: string): void => {
    const expected = answerFor(line[0], seriesAt, at);
    if (answer !== expected) wrong.push(`${line.join(' ')}: ${who}, minor ${answerMinors[at]}: ${answer}`);
  };
  const statuses: string[] = [];
  for (const [row, line] of lines.entries()) {
    for (const minor of answerMinors) statuses.push(await send(daemon, minor, line, uidOf(row)));
  }
  const fates = await recorded(daemon, lines.length * answerMinors.length);
  for (const [row, line] of lines.entries()) {
    for (const at of answerMinors.keys()) {
      compare(line, at, 'daemon', fates[row * answerMinors.length + at] ?? '');
    }
  }
  // Questions have a rate of their own: 20 at once.
  for (const line of lines.slice(0, 18)) compare(line, 2, 'socket', await asked(daemon, 4, line));
  for (const [row, line] of lines.entries()) {
    const exit = await explained(
      line,
      '--config',
      daemon.configFile,
      '--listener',
      'support',
      '--client',
      '2.3',
    );
    // What an allowed command comes to is the backend's.
    const status = statuses[row * answerMinors.length + 1] ?? '';
    const expected = answerFor(line[0], seriesAt, 1) === 'allow' ? 0 : exitOf[status];
    if (exit !== expected)
      wrong.push(`${line.join(' ')}: explain ends with ${exit}, the daemon says ${status}`);
  }
  assert.deepEqual(wrong, []);
  const tests = await runWarm(['test', '--config', daemon.configFile]);
  assert.deepEqual([tests.exit, tests.text.trim()], [0, `all ${lines.length * 3} tests passed`]);
  const replay = await runWarm(['test', '--config', daemon.configFile, '--replay', daemon.path('audit')]);
  assert.equal(replay.exit, 0, replay.text);
  assert.doesNotMatch(replay.text, /do not say which client/);
});

void test('lines that are allowed and not carried out on 2.3: explain ends as the daemon answers', async (t) => {
  const found = wide.lines.filter(([answer]) => answerFor(answer, 0, 2) === 'obstacle');
  assert.ok(found.length >= 10 && found.length < 20, `${found.length}`);
  const folder = openFolder(t);
  for (const name of ['mail1', 'mail2']) {
    await openScriptedDovecot({ unix: join(folder, `${name}.sock`), minor: 2, owner: t });
  }
  const daemon = await startDaemon(t, { folder, config: wide.settings('2.3') + audit });
  const seen = new Set<string>();
  for (const line of found) {
    const status = await send(daemon, 4, line);
    seen.add(status);
    for (const asking of [
      ['--config', daemon.configFile, '--listener', 'support'],
      ['--socket', daemon.path('support.sock')],
    ])
      assert.equal(await explained(line, ...asking), exitOf[status], `${line.join(' ')}: ${status}`);
  }
  assert.deepEqual([...seen].toSorted(), ['-TEMPFAIL', '-USAGE']);
});
