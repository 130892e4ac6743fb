// The journal of a real daemon, read with the built program while it runs and after it ended: what an auditor does, and how
// each subcommand ends.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { temporaryDirectory } from '../../journal/files/reading.js';
import { builtProgram, runDovegate } from '../../kit/gate/daemon.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { createEventWait } from '../../kit/plain/event-wait.js';
import type { ProgramResult } from '../../kit/plain/program.js';

function audit(...args: string[]): Promise<ProgramResult> {
  return runWarm(['audit', ...args]);
}

/** `tail -f` on a journal, and what it has said so far. */
function watch(t: TestContext, directory: string) {
  const child = spawn(process.execPath, [builtProgram, 'audit', 'tail', '-f', '--json', directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill());
  const events = createEventWait();
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    events.wake();
  });
  const includes = (text: string) => () => said.includes(text);
  return {
    until: (text: string) => events.until(includes(text), () => `${text} in ${said}`),
    lines: () => said.trimEnd().split('\n'),
  };
}

test('an auditor follows, searches, shows, exports and verifies what a daemon recorded', async (t) => {
  const { daemon, client } = await openGateway(t);
  const directory = daemon.path('audit');
  const watched = watch(t, directory);
  await watched.until('"event":"start"');
  const one = await client();
  one.sendCommand({ user: 'alice@example.org', fields: ['quota get'] });
  await one.readReply();
  one.sendCommand({ user: 'bob@example.org', fields: ['mailbox delete', 'INBOX'] });
  assert.equal((await one.readReply()).status, '-NOPERM');
  one.close();
  await watched.until('"event":"session-close"');
  assert.ok(watched.lines().every((line) => typeof JSON.parse(line) === 'object'));

  // While the daemon still writes.
  const config = ['--config', daemon.configFile];
  const running = await audit('verify', ...config, '--unsigned');
  assert.equal(running.exit, 0, running.text);
  await daemon.stop();

  const byOwnKey = await audit('verify', ...config);
  assert.equal(byOwnKey.exit, 0, byOwnKey.text);
  const told = JSON.parse((await audit('verify', '--json', '--unsigned', directory)).text);
  assert.deepEqual([told.passed, told.first_seq, told.fault_count, told.open_count], [true, 1, 0, 0]);

  const found = await audit('search', ...config, '--user', 'bob@example.org', '--since', '1h', '--json');
  const row = JSON.parse(found.text);
  const { command, decision, outcome, sent } = row;
  assert.deepEqual([command, decision, outcome, sent], ['mailbox delete', 'deny', 'denied', false]);
  // An empty answer says what was looked through, and who may have been meant.
  const none = await audit('search', ...config, '--user', 'bob');
  assert.deepEqual([none.exit, none.stdout.length], [0, 0]);
  assert.match(
    none.stderr,
    /^dovegate: no command for "bob" was found among \d+ records from [-\d]+ [:\d]+ to [-\d]+ [:\d]+ UTC; did you mean bob@example\.org\?\n$/,
  );
  for (const [by, voice] of [
    ['--shadow', 'the candidate'],
    ['--would', 'the rules'],
  ] as const) {
    const { stderr } = await audit('search', directory, by, 'any');
    const nothing = `^dovegate: nothing would have ended differently under ${voice}: \\d+ records from .* looked at\n$`;
    assert.match(stderr, new RegExp(nothing));
  }
  const early = await audit('search', directory, '--until', '2020-01-01', '--json');
  assert.match(early.stderr, /^dovegate: no command was found among 0 records in this time \(of \d+ from /);
  assert.match((await audit('search', directory)).text, /alice@example\.org +quota get -- +ok +mail1 /);

  for (const wanted of [String(row.id), String(row.seq)]) {
    const shown = await audit('show', wanted, ...config);
    assert.equal(shown.exit, 0, shown.text);
    assert.match(shown.text, new RegExp(`^exchange ${row.id}: mailbox delete, denied\n`));
    assert.match(shown.text, /admission[^]*uid=\d+[^]*completion[^]*session-close/);
  }
  assert.equal((await audit('show', '01NOBODY', directory)).exit, 1);

  const csv = (await audit('export', directory, '--command', 'quota')).text.split('\r\n');
  assert.deepEqual([csv.length, csv[2]], [3, '']);
  const hmac = await audit('hmac', 'secret', ...config);
  assert.match(hmac.text, /^[0-9a-f]{64}\n$/);
  const stdin = await runDovegate(['audit', 'hmac', '-', directory], { stdin: 'secret\n' });
  assert.equal(stdin.text, hmac.text);

  // Somebody takes the refusal out of the journal.
  const name = readdirSync(directory).find((file) => file.endsWith('.jsonl')) ?? '';
  const lines = readFileSync(join(directory, name), 'utf8').split('\n');
  const at = lines.findIndex((line) => line.includes('"decision":"deny"'));
  writeFileSync(join(directory, name), lines.toSpliced(at, 1).join('\n'));
  const tampered = await audit('verify', directory, '--unsigned');
  assert.equal(tampered.exit, 1);
  const place = `${join(directory, name)}:${at + 1}: seq ${at + 1}: missing: `;
  assert.ok(tampered.text.includes(place), tampered.text);
});

test('each way to be asked wrongly has its exit code', async (t) => {
  const folder = temporaryDirectory(t);
  const broken = join(folder, 'broken.yaml');
  writeFileSync(broken, 'version: 1\nlisteners: 5\n');
  const cases: [number, string[]][] = [
    [0, ['--help']],
    [0, ['verify', '--help']],
    [64, []],
    [64, ['nothing']],
    [64, ['verify', '--bogus', folder]],
    [64, ['verify', '--from', '0', folder]],
    [64, ['verify', '--config', broken, folder]],
    [64, ['search', '--since', 'tomorrow', folder]],
    [64, ['search', '--outcome', 'fine', folder]],
    [64, ['show']],
    [64, ['show', 'a"b', folder]],
    [64, ['tail', '-n', 'x', folder]],
    [64, ['tail', folder, folder]],
    [64, ['hmac', 'x', folder, folder]],
    [64, ['export', '--format', 'xml', folder]],
    [64, ['hmac']],
    [64, ['search', '--effect', 'harmless', folder]],
    [78, ['verify', folder]],
    [78, ['verify', join(folder, 'none')]],
    [78, ['search', '--config', broken]],
    [78, ['search', '--config', join(folder, 'none.yaml')]],
    [78, ['tail', folder]],
    [78, ['hmac', 'x', folder]],
    [78, ['keygen', '--out', join(folder, 'none', 'key')]],
  ];
  const wrong: string[] = [];
  for (const [code, args] of cases) {
    const { exit, stdout, stderr } = await audit(...args);
    if (exit !== code) wrong.push(`${args.join(' ')}: ${exit}, not ${code}`);
    if (exit !== 0 && (stdout.length > 0 || stderr === ''))
      wrong.push(`${args.join(' ')}: says it elsewhere`);
  }
  assert.deepEqual(wrong, []);
});

test('of a configuration only the audit section is needed: presets, and problems elsewhere, lock no auditor out', async (t) => {
  const { daemon, client, configuration } = await openGateway(t);
  const one = await client();
  one.sendCommand({ user: 'alice@example.org', fields: ['quota get'] });
  await one.readReply();
  one.close();
  await daemon.stop();
  const [admission] = daemon.audit().filter(({ record }) => record['event'] === 'admission');
  const id = String(admission?.record['id']);
  const good = configuration({});
  const preset = 'policies:\n  support: { users: ["*@example.org"], use: [presets/read-only-auditor] }\n';
  const withPreset = good.replace(/policies:\n[^]*?(?=state:)/, preset);
  const section = 'audit: { directory: audit }';
  const forms: Readonly<Record<string, { readonly text: string; readonly isWarned: boolean }>> = {
    good: { text: good, isWarned: false },
    'a shipped preset': { text: withPreset, isWarned: false },
    'an unknown preset': { text: withPreset.replace('read-only-auditor', 'none-such'), isWarned: true },
    'an unknown key': { text: `${good}\nnew_section: { of: a later release }\n`, isWarned: true },
    'an unknown key of audit': { text: good.replace('reserve: 4KiB', 'later: 1'), isWarned: true },
    'a bad value of audit': { text: good.replace('reserve: 4KiB', 'reserve: much'), isWarned: true },
    'only the audit section': { text: section, isWarned: true },
    'an included file that is missing': { text: `${section}\ninclude: [gone.yaml]\n`, isWarned: true },
    'an included directory that is missing': { text: `${section}\ninclude: [gone/*.yaml]\n`, isWarned: true },
    'a newer version': { text: good.replace('version: 1', 'version: 2'), isWarned: true },
    'not YAML below it': { text: `${section}\nlisteners: [ {\n`, isWarned: true },
    'not YAML above it': { text: `listeners:\n  one: "a" b\n${section}\n`, isWarned: true },
  };
  const told: string[] = [];
  const config = ['--config', daemon.configFile];
  const all = [['search'], ['verify', '--unsigned'], ['show', id], ['tail'], ['export'], ['hmac', 'x']];
  for (const [what, { text, isWarned }] of Object.entries(forms)) {
    daemon.write('dovegate.yaml', text);
    // They find the journal in one place of the program.
    for (const args of what === 'an unknown preset' ? all : all.slice(0, 1)) {
      const { exit, stdout, stderr } = await audit(...args, ...config);
      const hasWarning = /dovegate\.yaml: .* \(dovegate check /.test(stderr);
      if (exit !== 0 || stdout.length === 0 || hasWarning !== isWarned)
        told.push(`${what}: ${args.join(' ')}: exit ${exit}: ${stderr.split('\n', 1).join()}`);
    }
  }
  assert.deepEqual(told, []);
});

test('a reader that goes away ends the work', async (t) => {
  const folder = temporaryDirectory(t);
  const lines = Array.from({ length: 20_000 }, (_, at) => {
    const time = '2026-11-20T08:00:00.000Z';
    return `{"seq":${at + 1},"time":"${time}","event":"admission","id":"E${at}","prev":"","hash":""}`;
  });
  writeFileSync(join(folder, '00000001.jsonl'), `${lines.join('\n')}\n`);
  const child = spawn(process.execPath, [builtProgram, 'audit', 'export', folder], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let complaints = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints += text;
  });
  child.stdout.once('data', () => child.stdout.destroy());
  const [code] = await once(child, 'close');
  assert.deepEqual([code, complaints], [0, '']);
  rmSync(folder, { recursive: true });
});
