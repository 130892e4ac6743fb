// Goal: who widened a policy is found, also if nobody used it and it was taken back. Rounds of random edits of three policies and of
// who has which, each brought by a reload of an operator, a signal, a restart or a crash; between them commands of every kind. What
// must not happen: a command counted under other policies than those in force, a widening that is not said with its time, who reloaded
// and the file, a command that ran and that the policies before deny, and that is not counted as such.
// DOVEGATE_ROUNDS=10 makes the 50 edits of the published figure.
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Daemon, startDaemon } from '../../kit/gate/daemon.js';
import { auditRecords, openGateway } from '../../kit/gate/gateway.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { pick, seededRandom } from '../../kit/plain/chunkings.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { until } from '../../kit/plain/until.js';

const edits = 5 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const commands = ['quota get', 'mailbox list', 'search', 'mailbox create', 'expunge'] as const;
const wordsOf: Readonly<Record<string, readonly string[]>> = {
  search: ['all'],
  'mailbox create': ['New'],
  expunge: ['mailbox', 'Trash', 'all'],
};
const names = ['billing', 'support', 'admins'] as const;
type Name = (typeof names)[number];

type Stored = Readonly<Record<string, unknown>>;

interface World {
  readonly allowed: Record<Name, readonly string[]>;
  readonly of: Record<Name, Name>;
}

interface Told {
  readonly seq: number;
  readonly time: string;
  readonly event: string;
  readonly by?: string;
  readonly peer?: { readonly uid?: number };
  readonly files: readonly string[];
  readonly changes: readonly { readonly sign: string; readonly words: string }[];
  readonly versions: Readonly<Record<string, string>>;
  readonly commands: number;
  readonly denied: number;
  readonly newly: readonly { readonly command: string; readonly principal: string; readonly count: number }[];
  readonly redacted: number;
  readonly unjudged: number;
  readonly unlisted: number;
}

function changesOf(daemon: Daemon): readonly unknown[] {
  return auditRecords(daemon).filter(({ event }) => event === 'start' || event === 'reload');
}

const seed = Number(process.env['DOVEGATE_SEED'] ?? 1127);

void test(`${edits} random edits, reloads and restarts, of seed ${seed}: each change and each command is found`, async (t) => {
  const random = seededRandom(seed);
  let world: World = {
    allowed: { billing: ['quota get'], support: ['quota get', 'mailbox list'], admins: ['search'] },
    of: { billing: 'billing', support: 'support', admins: 'admins' },
  };
  const textOf = ({ allowed, of }: World) => ({
    listeners: names.map((name) => `\n  ${name}: { unix: ${name}.sock, policy: ${of[name]} }`).join(''),
    policy: ` { users: ["*@example.org"], allow: [${allowed.support.join(', ')}] }
  billing: { users: ["*@example.org"], allow: [${allowed.billing.join(', ')}] }
  admins: { users: ["*@example.org"], allow: [${allowed.admins.join(', ')}] }`,
  });
  const more = 'admin: { unix: admin.sock }';
  const opened = await openGateway(t, { more, ...textOf(world) });
  let { daemon } = opened;
  const { folder, configFile } = daemon;

  /** What is expected of each change: how it was brought, the widened commands by policy, the commands that only it permits. */
  const expected: { how: string; wider: string[]; newly: Map<string, number>; allowed: number }[] = [
    { how: 'start', wider: [], newly: new Map(), allowed: 0 },
  ];
  let before: World | undefined;
  const send = async (): Promise<void> => {
    const last = expected.at(-1) ?? assert.fail('no change');
    for (const listener of names) {
      const client = await openRawClient({ path: daemon.path(`${listener}.sock`), minor: 2 });
      for (const command of commands.filter(() => random() < 0.5)) {
        const { status } = await client.ask({
          user: 'alice@example.org',
          fields: [command, ...(wordsOf[command] ?? [])],
        });
        const mayNow = world.allowed[world.of[listener]].includes(command);
        assert.equal(status === '-NOPERM', !mayNow, `${command} at ${listener}: ${status}`);
        if (mayNow) last.allowed += 1;
        if (!mayNow || before === undefined || before.allowed[before.of[listener]].includes(command))
          continue;
        const key = `${command} at ${listener}`;
        last.newly.set(key, (last.newly.get(key) ?? 0) + 1);
      }
      client.close();
    }
  };
  await send();
  for (let n = 0; n < edits; n += 1) {
    const next = structuredClone(world);
    const name = pick(random, names);
    if (random() < 0.25)
      next.of[name] = pick(
        random,
        names.filter((each) => each !== world.of[name]),
      );
    else {
      const command = pick(random, commands);
      const has = world.allowed[name];
      const without = has.filter((each) => each !== command);
      next.allowed[name] =
        has.includes(command) && without.length > 0 ? without : [...new Set([...has, command])];
    }
    if (JSON.stringify(next) === JSON.stringify(world)) continue;
    const wider = names.flatMap((each) =>
      next.allowed[each]
        .filter((one) => !world.allowed[each].includes(one))
        .map((one) => `${each} may now: ${one}`),
    );
    before = world;
    world = next;
    const how = pick(random, ['operator', 'SIGHUP', 'restart', 'crash'] as const);
    writeFileSync(configFile, opened.configuration({ more, ...textOf(world) }));
    // Its line in the log may be that of the reload before.
    if (how === 'SIGHUP') daemon.signal('SIGHUP');
    else if (how === 'operator') {
      const asked = await runWarm(['reload', '--config', configFile], { cwd: folder });
      assert.equal(asked.exit, 0, asked.text);
    } else {
      await (how === 'crash' ? daemon.kill() : daemon.stop());
      daemon = await startDaemon(t, { folder });
    }
    expected.push({ how, wider, newly: new Map(), allowed: 0 });
    await until(() => changesOf(daemon).length === expected.length, 'the record of the change');
    // Not everything that is permitted is used.
    if (random() < 2 / 3) await send();
  }

  const told = await runWarm(['audit', 'policies', '--config', configFile, '--json'], { cwd: folder });
  assert.equal(told.exit, 0, told.text);
  const periods: Told[] = told.stdout
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(periods.length, expected.length);
  const records = auditRecords(daemon);
  for (const [at, period] of periods.entries()) {
    const { how, wider, newly, allowed } = expected[at] ?? assert.fail('more changes than edits');
    // Many refusals in one second are only counted, so the journal says how many commands there are.
    const isOfPeriod = ({ event, seq }: Stored): boolean =>
      event === 'admission' && Number(seq) > period.seq && Number(seq) < (periods[at + 1]?.seq ?? Infinity);
    const own = records.filter(isOfPeriod);
    assert.equal(period.commands, own.length, `commands of ${at}`);
    assert.equal(own.filter(({ decision }) => decision === 'allow').length, allowed);
    assert.deepEqual([period.redacted, period.unjudged, period.unlisted], [0, 0, 0]);
    assert.equal(period.event, how === 'operator' || how === 'SIGHUP' ? 'reload' : 'start');
    const record = records.find(({ seq }) => seq === period.seq);
    assert.equal(record?.['time'], period.time);
    assert.match(period.files.join(), new RegExp(`^${configFile}: of uid ${process.getuid?.()}, changed 20`));
    if (how === 'SIGHUP') assert.equal(period.by, 'SIGHUP');
    if (how === 'operator') assert.equal(period.peer?.uid, process.getuid?.());
    if (at === 0) continue;
    const said = period.changes.filter(({ sign }) => sign === '+').map(({ words }) => words);
    assert.deepEqual(said, wider);
    const counted = period.newly.map(({ command, principal, count }): [string, number] => [
      `${command} at ${principal.slice(principal.indexOf('@') + 1)}`,
      count,
    ]);
    assert.deepEqual(new Map(counted), newly);
  }
  // Each command is under the policies of its version.
  const admissions = records.filter(({ event }) => event === 'admission');
  assert.equal(
    admissions.length,
    periods.reduce((sum, { commands: count }) => sum + count, 0),
  );
  for (const { seq, policy, version } of admissions) {
    const period = periods.findLast((each) => each.seq < Number(seq));
    assert.equal(period?.versions[String(policy)], version);
  }
});

void test('for a while billing could expunge: it is said though nobody did, with the texts, and a missing text is said', async (t) => {
  const more = 'admin: { unix: admin.sock }';
  const of = (allow: string): string => ` { users: ["*@example.org"], allow: [${allow}] }`;
  const { daemon, configuration } = await openGateway(t, { more, policy: of('quota get') });
  const ask = (...words: string[]) =>
    runWarm(['audit', 'policies', '--config', daemon.configFile, ...words], { cwd: daemon.folder });
  await daemon.reload(configuration({ more, policy: of('quota get, expunge') }));
  await daemon.reload(configuration({ more, policy: of('quota get') }));

  const { exit, text } = await ask();
  assert.equal(exit, 0, text);
  const block =
    /reload by SIGHUP, record (\d+)\n {2}in force for [^\n]+, until [^\n]+\n {2}\+ support may now: expunge\n/;
  const [, seq = ''] = block.exec(text) ?? assert.fail(text);
  assert.match(
    text,
    /\n {2}0 commands of all policies ran then; nobody used what is new: the policies before would have denied none of them\n/,
  );
  assert.match(text, /in force since then\n {2}- support may no longer: expunge\n/);
  const diff = await ask('--diff', seq);
  assert.match(diff.text, /^policy support: [0-9a-f]{64} -> [0-9a-f]{64}\n[^]*\n\+ +- expunge\n/);
  assert.equal((await ask('--diff', '1')).exit, 0);
  assert.equal((await ask('--diff', '999')).exit, 64);
  const socket = await ask('--socket', 'page.sock');
  assert.equal(socket.exit, 64);
  assert.match(socket.text, /open the page, and there Access, "What was changed in the policies"/);

  // The mirror of a fleet has the records without the texts: by whom and when, and no words.
  const [segment = ''] = readdirSync(daemon.path('audit')).filter((name) => name.endsWith('.jsonl'));
  const { journal } = auditRecords(daemon)[0] ?? {};
  const mirrored = join('mirror', 'gate1', String(journal));
  mkdirSync(daemon.path(mirrored), { recursive: true });
  copyFileSync(daemon.path(join('audit', segment)), daemon.path(join(mirrored, segment)));
  const fleet = await runWarm(['audit', 'policies', '--fleet', daemon.path('mirror')], {
    cwd: daemon.folder,
  });
  assert.equal(fleet.exit, 65, fleet.text);
  assert.match(
    fleet.text,
    new RegExp(`^gate1: [^\\n]+ reload by SIGHUP, record ${seq}\n {2}in force for `, 'm'),
  );
  assert.match(fleet.text, new RegExp(`record ${seq} cannot be put in words`));
  assert.doesNotMatch(fleet.text, /may now/);

  const { policies } = JSON.parse((await ask('--json')).text.split('\n')[1] ?? '');
  rmSync(daemon.path(`audit/policies/${policies}.yaml`));
  const missing = await ask();
  assert.equal(missing.exit, 65, missing.text);
  assert.match(
    missing.text,
    new RegExp(`the list of policies ${policies} is missing, or is not that of its hash`),
  );
  writeFileSync(daemon.path(`audit/policies/${policies}.yaml`), '{"policies":{},"listeners":{}}\n');
  assert.equal((await ask()).exit, 65);
});
