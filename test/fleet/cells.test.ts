// Goal: a real gate moves from one cell to another, each with a nats-server and a verifier of its own, and nothing is missing or doubled in
// what the two mirrors hold together, though the new cell's part begins in the middle; and a cell that is lost whole is restored from its
// mirror, its checkpoints and its key: what the gates do not have any more, and the host that is gone, are answered by the mirror.
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readCheckpoint } from '../../src/domain/records/fleet/checkpoint.js';
import { askHttp } from '../kit/ask-http.js';
import { openFolder } from '../kit/folder.js';
import { type Nats, openNatsServer } from '../kit/nats.js';
import { until } from '../kit/until.js';
import { runWarm } from '../kit/warm-program.js';
import { openAdministrator } from './administrator.js';
import { skipOf } from './fleet-lab.js';
import { type FleetGate, openFleetGate } from './gate.js';
import { openVerifier, type Verifier } from './verifier.js';

const more = (cell: string): string => `cell: ${cell}\ndrift: 1h`;

interface Found {
  readonly exit: number;
  readonly findings: readonly string[];
  readonly text: string;
}

/** `cells verify`; each finding as `CELL HOST KIND`. */
async function look(config: string, ...flags: readonly string[]): Promise<Found> {
  const { exit, stdout, text } = await runWarm([
    'audit',
    'fleet',
    'cells',
    'verify',
    '--config',
    config,
    '--json',
    ...flags,
  ]);
  assert.ok(exit <= 1, text);
  const { findings }: { findings: readonly Readonly<Record<string, string>>[] } = JSON.parse(
    stdout.toString(),
  );
  return { exit, text, findings: findings.map(({ cell, host = '-', kind }) => `${cell} ${host} ${kind}`) };
}

/** The ids of all commands, and the hosts that the rows name. */
async function search(
  place: string,
): Promise<{ readonly ids: readonly string[]; readonly hosts: readonly string[] }> {
  const { exit, stdout, text } = await runWarm(['audit', 'search', '--fleet', place, '--json']);
  assert.equal(exit, 0, text);
  const rows = stdout
    .toString()
    .trimEnd()
    .split('\n')
    .map((line): Readonly<Record<string, string>> => JSON.parse(line));
  const hosts = [...new Set(rows.map(({ host = '' }) => host))];
  return { ids: rows.map(({ id = '' }) => id), hosts: hosts.toSorted() };
}

const idsIn = (journal: Buffer): readonly string[] =>
  journal
    .toString()
    .split('\n')
    .filter((line) => line.includes('"event":"admission"'))
    .map((line) => /"id":"([^"]+)"/.exec(line)?.[1] ?? '');

const stateOf = ({ folder }: Verifier): string => join(folder, 'state');
const rootOf = (verifier: Verifier) => {
  const lines = readFileSync(join(stateOf(verifier), 'checkpoints.jsonl'), 'utf8')
    .trimEnd()
    .split('\n');
  const root = readCheckpoint(lines.at(-1) ?? '');
  assert.ok(root !== undefined);
  return root;
};

async function caughtUp(gate: FleetGate): Promise<void> {
  const isDone = async (): Promise<boolean> => {
    const { body } = await askHttp({ socketPath: gate.daemon.path('admin.sock') }, '/metrics');
    const lags = [...body.matchAll(/^dovegate_audit_ship_lag_records\{[^}]*\} (\d+)$/gm)].map(
      ([, lag]) => lag,
    );
    return lags.length > 0 && lags.every((lag) => lag === '0');
  };
  // Twice: records of the last answers may not have been on disk yet.
  await until(isDone, () => `no lag\n${gate.ship.output().slice(-4000)}`, 300_000);
  await new Promise((resolve) => setTimeout(resolve, 200));
  await until(isDone, () => `no lag\n${gate.ship.output().slice(-4000)}`, 300_000);
}

/** A receiver of this gate, whose files come from a server. */
function sinkOf(gate: FleetGate, nats: Nats, name: string): string {
  const { servers } = nats.settingsOf('gate-1');
  const urls = servers.map(({ host, port }) => `tls://${host}:${port}`).join(',');
  const login = Object.entries(nats.loginOf('gate-1')).map(([key, file]) => {
    cpSync(file, gate.daemon.path(`${name}-${key}`));
    return `${key}: ${name}-${key}`;
  });
  return `{ nats: "${urls}", host: gate-1, ${login.join(', ')}, settle: 1s }`;
}

void test('a host moves between two cells, and the one that it leaves is lost and restored', {
  timeout: 600_000,
}, async (t) => {
  const north = await openNatsServer(t, { gates: ['gate-1', 'gate-2'] });
  if (skipOf(t, north)) return;
  const south = await openNatsServer(t, { gates: ['gate-1'] });
  if (skipOf(t, south)) return;
  for (const nats of [north, south]) {
    const administrator = await openAdministrator(t, nats);
    await administrator.createStreams();
    await administrator.close();
  }
  // It keeps little itself: the new cell gets no whole journal.
  const audit = ', keep: 1s, keep_min: 1s';
  const moving = await openFleetGate(t, north, { host: 'gate-1', settle: '1s', audit });
  const staying = await openFleetGate(t, north, { host: 'gate-2', settle: '1s' });
  const listed = (gate: FleetGate): string => `{ key: "${gate.key}", silent_after: 1h }`;
  const both = { 'gate-1': listed(moving), 'gate-2': listed(staying) };
  const verifiers = {
    north: openVerifier(t, { nats: north, hosts: both, more: more('north') }),
    south: openVerifier(t, { nats: south, hosts: { 'gate-1': listed(moving) }, more: more('south') }),
  };
  const folder = openFolder(t);
  const config = join(folder, 'cells.yaml');
  const list = (hosts: { readonly north: readonly string[]; readonly south: readonly string[] }): void => {
    const cells = Object.fromEntries(
      (['north', 'south'] as const).map((name) => {
        const directory = stateOf(verifiers[name]);
        const keys = { 'gate-1': moving.key, 'gate-2': staying.key };
        const own = hosts[name].map((host) => [
          host,
          { key: host === 'gate-1' ? keys['gate-1'] : keys['gate-2'] },
        ]);
        return [name, { key: join(directory, 'checkpoint.pub'), directory, hosts: Object.fromEntries(own) }];
      }),
    );
    writeFileSync(config, JSON.stringify({ root_every: '2h', cells }), { mode: 0o600 });
  };
  const work = async (gate: FleetGate, answers: number): Promise<void> => {
    gate.work();
    await gate.untilAnswered(answers);
    await gate.rest();
    await caughtUp(gate);
  };
  const verified = async (verifier: Verifier): Promise<void> => {
    const { exit, text } = await verifier.verify();
    assert.equal(exit, 0, text);
  };
  const sent = new Set<string>();
  const note = (): void => {
    for (const id of idsIn(moving.journal())) sent.add(id);
  };

  await t.test('it sends to the new cell too, and then there alone', async () => {
    for (let round = 0; round < 400 && !/"event":"retire"/.test(moving.journal().toString()); round += 1) {
      await work(moving, 400);
      note();
    }
    await work(staying, 50);
    note();
    await verified(verifiers.north);
    const before = readFileSync(moving.daemon.configFile, 'utf8');
    const [old = ''] = /\{ nats: [^}]*\}/.exec(before) ?? [];
    const fresh = sinkOf(moving, south, 'south');
    await moving.daemon.reload(before.replace(old, `${old}, ${fresh}`));
    await work(moving, 100);
    note();
    await verified(verifiers.north);
    await moving.daemon.reload(before.replace(old, fresh));
    await work(moving, 100);
    note();
    await verified(verifiers.south);
    const [left, right] = [rootOf(verifiers.north), rootOf(verifiers.south)].map(({ cell, heads }) => ({
      cell,
      head: heads.find(({ host }) => host === 'gate-1'),
    }));
    assert.deepEqual([left?.cell, left?.head?.from, right?.cell], ['north', 1, 'south']);
    const [from = 0, end = 0] = [right?.head?.from, left?.head?.seq];
    assert.ok(from > 1 && from <= end + 1 && (right?.head?.seq ?? 0) > end, `${from} after ${end}`);
    list({ north: ['gate-2'], south: ['gate-1'] });
    const found = await look(config);
    assert.deepEqual([found.exit, found.findings], [0, []], found.text);
    const { exit, text } = await runWarm(['audit', 'fleet', 'cells', 'verify', '--config', config]);
    assert.equal(exit, 0, text);
    assert.match(text, /^passed: 2 cells, 3 hosts: every root follows the one before/);
    assert.match(text, /^north +\d+ +\d{4}-\d{2}-\d{2} .* 2 +2 +0$/m);
  });

  await t.test('both mirrors are one trail: each command once, and the whole verified', async () => {
    const { ids, hosts } = await search(config);
    assert.deepEqual(hosts, ['north/gate-2', 'south/gate-1']);
    assert.equal(new Set(ids).size, ids.length, 'a command stands there twice');
    const all = new Set(ids);
    assert.deepEqual(
      [...sent].filter((id) => !all.has(id)),
      [],
    );
    assert.ok(idsIn(moving.journal()).length < sent.size, 'the gate itself has all');
    const whole = await runWarm(['audit', 'verify', '--fleet', config]);
    assert.equal(whole.exit, 0, whole.text);
    const report = await runWarm(['audit', 'report', '--fleet', config, '--mailbox', 'alice@example.com']);
    assert.match(report.text, /^ {2}south\/gate-1: complete to /m);
    // The same by a directory with a copy of each state, and of one cell alone under its own names.
    const copies = join(folder, 'copies');
    for (const name of ['north', 'south'] as const)
      cpSync(stateOf(verifiers[name]), join(copies, name), { recursive: true });
    assert.deepEqual((await search(copies)).ids.toSorted(), ids.toSorted());
    const alone = await search(verifiers.north.config);
    assert.deepEqual(alone.hosts, ['gate-1', 'gate-2']);
    // A cell of which only the roots were copied is said to be left out.
    rmSync(join(copies, 'north', 'journals'), { recursive: true });
    const part = join(folder, 'part.yaml');
    writeFileSync(
      part,
      readFileSync(config, 'utf8').replaceAll(stateOf(verifiers.north), join(copies, 'north')),
      {
        mode: 0o600,
      },
    );
    const left = await runWarm(['audit', 'search', '--fleet', part, '--json']);
    assert.equal(left.exit, 0, left.text);
    assert.match(left.stderr, /no copy of the mirror of cell north .*no journal of north\/gate-2/s);
    assert.ok(left.stdout.toString().includes('"host":"south/gate-1"'));
    rmSync(copies, { recursive: true });
  });

  await t.test('a mirror that was cut, and a root over it, are found', async () => {
    const path = join(stateOf(verifiers.north), 'journals', 'gate-2');
    const kept = join(folder, 'kept');
    cpSync(path, kept, { recursive: true });
    const root = rootOf(verifiers.north);
    const { journal = '' } = root.heads.find(({ host }) => host === 'gate-2') ?? {};
    const file = join(path, journal, '00000001.jsonl');
    const lines = readFileSync(file, 'utf8').split(/(?<=\n)/);
    writeFileSync(file, lines.slice(0, -5).join(''));
    const found = await look(config);
    assert.deepEqual([found.exit, found.findings], [1, ['north gate-2 cut']], found.text);
    rmSync(path, { recursive: true });
    cpSync(kept, path, { recursive: true });
    assert.equal((await look(config)).exit, 0);
  });

  await t.test('the cell is lost: a new server, and the state from the copies', async () => {
    await staying.stop();
    const lost = stateOf(verifiers.north);
    const root = rootOf(verifiers.north);
    const before = await search(config);
    const copy = join(folder, 'north');
    mkdirSync(copy);
    for (const name of ['journals', 'checkpoints.jsonl', 'checkpoint.pub', 'checkpoint.key'])
      cpSync(join(lost, name), join(copy, name), { recursive: true });
    const keptLine = join(folder, 'kept.jsonl');
    writeFileSync(keptLine, `${root.line}\n`);
    await north.kill();
    for (const place of [lost, join(north.folder, 'store')]) rmSync(place, { recursive: true });
    // Its gate cannot send meanwhile, and goes on.
    await north.start();
    const administrator = await openAdministrator(t, north);
    await administrator.createStreams();
    await administrator.close();
    cpSync(copy, lost, { recursive: true });
    assert.ok(!existsSync(join(lost, 'state.json')));
    await staying.start();
    await work(staying, 50);
    // The one that moved is not of this cell any more.
    const again = openVerifier(t, {
      nats: north,
      hosts: { 'gate-2': listed(staying) },
      more: more('north'),
      folder: verifiers.north.folder,
    });
    await verified(again);
    const now = rootOf(again);
    assert.deepEqual([now.seq, now.prev], [root.seq + 1, root.hash]);
    assert.deepEqual(
      now.heads.map(({ host }) => host),
      ['gate-2'],
    );
    const found = await look(config, '--checkpoint', keptLine);
    assert.deepEqual([found.exit, found.findings], [0, []], found.text);
    const { ids } = await search(config);
    const all = new Set(ids);
    assert.equal(all.size, ids.length);
    assert.deepEqual(
      before.ids.filter((id) => !all.has(id)),
      [],
      'lost with the cell',
    );
    assert.deepEqual(
      idsIn(staying.journal()).filter((id) => !all.has(id)),
      [],
      'not sent again',
    );
    const whole = await runWarm(['audit', 'verify', '--fleet', config]);
    assert.equal(whole.exit, 0, whole.text);
    // Whoever restores an older copy of the lines signs a second line of one number.
    const file = join(lost, 'checkpoints.jsonl');
    writeFileSync(
      file,
      readFileSync(file, 'utf8')
        .split(/(?<=\n)/)
        .slice(0, -2)
        .join(''),
    );
    const cut = await look(config, '--checkpoint', keptLine);
    assert.deepEqual([cut.exit, cut.findings.includes('north - cut')], [1, true], cut.text);
  });
  assert.deepEqual(await moving.stop(), { code: 0, signal: null });
});
