// A journal that was rewritten whole with the stolen signing key passes every check of its own, and is found by a stamp from before. So is
// each stamp that was forged, moved, replaced or taken at another time; a day without one is said. Plain openssl verifies what is stored.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { CommandFault } from '../../../src/cli/output/output.js';
import { checkpoint, placeFor, signKey, startRun, stop, write } from '../../adapters/journal/forged-run.js';
import { segmentFiles, temporaryDirectory } from '../../adapters/journal/reading.js';
import { makeStampAuthority, paperStamp, type StampAuthority } from '../../kit/stamp-authority.js';
import { readPage } from '../docs-page.js';
import { keyFile, report, run } from './verifying.js';

const dayMs = 86_400_000;
const began = Date.UTC(2026, 10, 1, 12);
const days = [0, 1, 2, 3, 4].map((day) => `2026-11-0${day + 1}`);

interface Told {
  readonly directory: string;
  readonly keys: readonly string[];
}

/** Five days with two checkpoints each, and records between them. */
function writeDays(t: TestContext, options: { user?: string; journal?: string } = {}): Told {
  const { user = 'alice@example.com', ...how } = options;
  const place = placeFor(t);
  const opened = startRun(place, { wallMs: began, segmentBytes: 4096, ...how });
  for (const [day] of days.entries()) {
    const nowMs = began + day * dayMs;
    const named = { session: 'S', id: `E${day}`, listener: 'desk', principal: 'bob@desk' };
    const what = { command: 'mailbox delete', user, decision: 'allow', effect: 'destroy' } as const;
    write(
      opened,
      { time: nowMs, event: 'admission', ...named, ...what },
      { time: nowMs, event: 'completion', ...named, outcome: 'ok' },
    );
    checkpoint(opened, nowMs + 1000);
    write(opened, { time: nowMs + 30_000, event: 'log', id: `E${day}`, text: 'done' });
    checkpoint(opened, nowMs + 61_000);
  }
  stop(opened, began + 4 * dayMs + 90_000);
  return { directory: place.directory, keys: [keyFile(t, signKey.publicPem)] };
}

function checkpointsOf(directory: string): readonly (readonly [day: string, line: string])[] {
  return segmentFiles(directory)
    .flatMap((file) => readFileSync(join(directory, file), 'utf8').trimEnd().split('\n'))
    .filter((line) => line.includes('"event":"checkpoint"'))
    .map((line) => [/"time":"([^T]+)/.exec(line)?.[1] ?? '', `${line}\n`] as const);
}

/** Of each day the first checkpoint, stamped when it was the last one. */
function stampDays(t: TestContext, { directory }: Told, by: StampAuthority, lateMs = 5000): string {
  const folder = join(temporaryDirectory(t), 'stamps');
  mkdirSync(folder);
  for (const day of days) {
    const [, line = ''] = checkpointsOf(directory).find(([of]) => of === day) ?? [];
    const timeMs = Date.parse(`${day}T12:00:01Z`) + lateMs;
    put(folder, day, line, paperStamp(by, { timeMs, stamped: Buffer.from(line) }));
  }
  return folder;
}

function put(folder: string, day: string, line: string, answer: Buffer): void {
  writeFileSync(join(folder, `${day}.jsonl`), line);
  writeFileSync(join(folder, `${day}.tsr`), answer);
}

function authorityOf(t: TestContext, keys: 'rsa' | 'ec' = 'ec'): StampAuthority {
  return makeStampAuthority(t, {
    keys,
    notBefore: new Date(began - dayMs),
    notAfter: new Date(began + 90 * dayMs),
  });
}

/** `[KIND, FILE]` of each fault. */
async function faultsOf({ directory, keys }: Told, stamps: string, by: StampAuthority): Promise<string[]> {
  const { faults, passed } = await report([directory], { key: keys, stamps, authority: by.rootFile });
  assert.equal(passed, faults.length === 0);
  return faults.map(({ kind, file }) => `${kind} ${file.split('/').at(-1)}`);
}

void test('a journal that was rewritten whole with the stolen key is found by the stamp before', async (t) => {
  const told = writeDays(t);
  const by = authorityOf(t);
  const stamps = stampDays(t, told, by);
  const good = await run([told.directory], { key: told.keys, stamps, authority: by.rootFile });
  assert.equal(good.code, 0, good.screen.lines().join('\n'));
  assert.match(
    good.screen.lines().join('\n'),
    /^ {2}stamped of 5 days from 2026-11-01 to 2026-11-05: what is here up to seq \d+ was there at 2026-11-05T12:00:06\.000Z, by CN=Stamps of the test 1$/m,
  );

  const anew = writeDays(t, { user: 'carol@example.com' });
  assert.deepEqual(
    (await report([anew.directory], { key: anew.keys })).faults,
    [],
    'no check of its own finds it',
  );
  const found = await run([anew.directory], { key: anew.keys, stamps, authority: by.rootFile });
  assert.equal(found.code, 1);
  assert.match(
    found.screen.lines().join('\n'),
    /rewritten: the record is not the one that 2026-11-02\.tsr names, which was there at 2026-11-02T12:00:06\.000Z: whoever has the signing key wrote the journal anew after that/,
  );
  assert.doesNotMatch(found.screen.lines().join('\n'), /what is here up to/);
  // With own stamps of the days after that beside it, of the same records.
  const line = checkpointsOf(anew.directory).find(([of]) => of === '2026-11-02')?.[1] ?? '';
  put(stamps, '2026-11-06', line, paperStamp(by, { timeMs: began + 5 * dayMs, stamped: Buffer.from(line) }));
  const kinds = (await faultsOf(anew, stamps, by)).map((each) => each.split(' ')[0]);
  assert.deepEqual(new Set(kinds), new Set(['rewritten', 'stamp-time']));
  // All older ones removed: what they said is lost, and the days are said only if there is one from before.
  for (const day of days) rmSync(join(stamps, `${day}.tsr`));
  assert.deepEqual(await faultsOf(anew, stamps, by), ['stamp-time 2026-11-06.tsr']);
});

void test('a journal that was begun anew, and one that was cut, are found', async (t) => {
  const told = writeDays(t);
  const by = authorityOf(t);
  const stamps = stampDays(t, told, by);
  const other = writeDays(t, { journal: 'cd'.repeat(16) });
  const faults = await faultsOf(other, stamps, by);
  assert.ok(faults.includes('stamp-foreign 2026-11-01.tsr'), faults.join());
  assert.ok(faults.some((each) => each.startsWith('rewritten ')));

  // The end is cut off, and the checkpoint beside it, with the key.
  const cut = segmentFiles(told.directory).at(-1) ?? '';
  const lines = readFileSync(join(told.directory, cut), 'utf8').trimEnd().split('\n');
  const at = lines.findIndex((each) => each.includes('"event":"checkpoint"'));
  rmSync(join(told.directory, 'checkpoint.json'));
  writeFileSync(join(told.directory, cut), `${lines.slice(0, at + 1).join('\n')}\n`);
  const { faults: found } = await report([told.directory], {
    key: told.keys,
    stamps,
    authority: by.rootFile,
  });
  const last = JSON.parse(lines[at] ?? '').seq;
  const isCovered = days.some(
    (day) => JSON.parse(readFileSync(join(stamps, `${day}.jsonl`), 'utf8')).seq > last,
  );
  assert.equal(
    found.some(({ kind }) => kind === 'cut'),
    isCovered,
  );
});

void test('forged, moved, replaced and expired stamps are found, each with what to do', async (t) => {
  const told = writeDays(t);
  const by = authorityOf(t);
  const stampsIn = (): string => stampDays(t, told, by);
  const [first = '', second = ''] = days;
  const lineOf = (folder: string, day: string): Buffer => readFileSync(join(folder, `${day}.jsonl`));

  const forged = stampsIn();
  const false_ = authorityOf(t);
  writeFileSync(
    join(forged, `${first}.tsr`),
    paperStamp(false_, { timeMs: began + 6000, stamped: lineOf(forged, first) }),
  );
  assert.deepEqual(await faultsOf(told, forged, by), [`stamp ${first}.tsr`]);
  const said = await run([told.directory], { key: told.keys, stamps: forged, authority: by.rootFile });
  assert.match(
    said.screen.lines().join('\n'),
    /2026-11-01\.tsr: stamp: it does not chain to a certificate of `authority`.*; compare `authority`/,
  );
  // The certificates are those of the forger.
  assert.equal((await faultsOf(told, forged, false_)).length, 4);

  const moved = stampsIn();
  copyFileSync(join(moved, `${second}.tsr`), join(moved, `${first}.tsr`));
  assert.deepEqual(await faultsOf(told, moved, by), [`stamp ${first}.tsr`]);
  copyFileSync(join(moved, `${second}.jsonl`), join(moved, `${first}.jsonl`));
  assert.deepEqual(await faultsOf(told, moved, by), [`stamp-time ${first}.tsr`], 'another day');

  const replaced = stampsIn();
  writeFileSync(join(replaced, `${first}.jsonl`), lineOf(replaced, second));
  rmSync(join(replaced, `${second}.jsonl`));
  assert.deepEqual(await faultsOf(told, replaced, by), [`stamp ${first}.tsr`, `stamp ${second}.tsr`]);

  const cut = stampsIn();
  writeFileSync(join(cut, `${first}.tsr`), readFileSync(join(cut, `${first}.tsr`)).subarray(0, 500));
  writeFileSync(join(cut, `${second}.tsr`), Buffer.alloc(100_000));
  assert.deepEqual(await faultsOf(told, cut, by), [`stamp ${first}.tsr`, `stamp ${second}.tsr`]);

  const early = makeStampAuthority(t, {
    keys: 'ec',
    notBefore: new Date(began + dayMs),
    notAfter: new Date(began + 90 * dayMs),
  });
  assert.deepEqual(
    await faultsOf(told, stampDays(t, told, early), early),
    [`stamp ${first}.tsr`],
    'not valid then',
  );

  // Of a line that is no checkpoint.
  const empty = stampsIn();
  put(empty, first, '{"a":1}\n', paperStamp(by, { timeMs: began, stamped: Buffer.from('{"a":1}\n') }));
  assert.deepEqual(await faultsOf(told, empty, by), [`stamp ${first}.tsr`]);
});

void test('a time before that of the record, and one long after the next checkpoints, are found', async (t) => {
  const told = writeDays(t);
  const by = authorityOf(t);
  // The next checkpoint is a moment later, and ten minutes are between two clocks.
  assert.deepEqual(await faultsOf(told, stampDays(t, told, by, 9 * 60_000), by), []);
  const late = await faultsOf(told, stampDays(t, told, by, 11 * 60_000), by);
  assert.deepEqual(
    late,
    days.map((day) => `stamp-time ${day}.tsr`),
  );
  const early = await faultsOf(told, stampDays(t, told, by, -6 * 60_000), by);
  assert.deepEqual(
    early,
    days.map((day) => `stamp-time ${day}.tsr`),
  );
});

void test('a day without a stamp is said, and no stamp at all is a fault', async (t) => {
  const told = writeDays(t);
  const by = authorityOf(t);
  const stamps = stampDays(t, told, by);
  for (const day of days.slice(1, 3)) rmSync(join(stamps, `${day}.tsr`));
  const { code, screen } = await run([told.directory], { key: told.keys, stamps, authority: by.rootFile });
  assert.equal(code, 0);
  assert.match(
    screen.lines().join('\n'),
    /warning: no stamp of 2026-11-02 to 2026-11-03: what is of those days was there at the next stamp/,
  );
  const json = await report([told.directory], { key: told.keys, stamps, authority: by.rootFile });
  assert.deepEqual(Reflect.get(Object(json['stamps']), 'missing'), [
    { from: '2026-11-02', to: '2026-11-03' },
  ]);
  for (const name of readdirSync(stamps)) rmSync(join(stamps, name));
  assert.deepEqual((await faultsOf(told, stamps, by)).length, 1);
  for (const flags of [
    { stamps },
    { stamps: join(stamps, 'gone'), authority: by.rootFile },
    { stamps, authority: join(stamps, 'gone') },
  ])
    await assert.rejects(run([told.directory], { key: told.keys, ...flags }), CommandFault);
  await assert.rejects(
    run([told.directory, told.directory], { key: told.keys, stamps, authority: by.rootFile }),
    CommandFault,
  );
});

void test('the journals of a fleet are verified with the copies beside them', async (t) => {
  const mirror = join(temporaryDirectory(t), 'journals');
  const by = authorityOf(t);
  const [oldId, newId] = ['cd'.repeat(16), 'ab'.repeat(16)];
  const [old, told] = [writeDays(t, { journal: oldId }), writeDays(t)];
  const anew = writeDays(t, { user: 'carol@example.com' });
  /** The stamps of some days, of the journal that it has. */
  const copy = (host: string, from: Told, journal: string, of: readonly string[], stamped = from): void => {
    cpSync(from.directory, join(mirror, host, journal), { recursive: true });
    const folder = stampDays(t, stamped, by);
    mkdirSync(join(mirror, host, 'stamps'), { recursive: true });
    for (const day of of)
      for (const name of [`${day}.tsr`, `${day}.jsonl`])
        copyFileSync(join(folder, name), join(mirror, host, 'stamps', name));
  };
  const verified = async (
    stamps: string | true = true,
    fleet = mirror,
  ): Promise<Record<string, readonly string[]>> => {
    const places = { config: undefined, paths: [], fleet };
    const asked = { places, key: told.keys, stamps, authority: by.rootFile, json: true };
    const { code, screen } = await run([], asked);
    const reports = screen.lines().map((line) => JSON.parse(line));
    assert.equal(code, reports.every(({ passed }) => passed) ? 0 : 1);
    return Object.fromEntries(
      reports.map(({ host, journal, faults, stamps: found }) => [
        `${host} ${journal.slice(0, 2)}`,
        [`${found?.count ?? 0} stamps`, ...faults.map(({ kind }: { kind: string }) => kind)],
      ]),
    );
  };
  copy('gate1', old, oldId, days.slice(0, 2));
  copy('gate1', told, newId, days.slice(2));
  assert.deepEqual(await verified(), { 'gate1 cd': ['2 stamps'], 'gate1 ab': ['3 stamps'] });
  // The same as a folder of their own, as a person kept it.
  const kept = join(temporaryDirectory(t), 'kept');
  cpSync(join(mirror, 'gate1', 'stamps'), join(kept, 'gate1'), { recursive: true });
  assert.deepEqual(await verified(kept), { 'gate1 cd': ['2 stamps'], 'gate1 ab': ['3 stamps'] });

  // Of cells, each beside its own.
  const cells = temporaryDirectory(t);
  for (const cell of ['north', 'south']) cpSync(mirror, join(cells, cell, 'journals'), { recursive: true });
  rmSync(join(cells, 'north', 'journals', 'gate1', newId), { recursive: true });
  rmSync(join(cells, 'south', 'journals', 'gate1', oldId), { recursive: true });
  rmSync(join(cells, 'north', 'journals', 'gate1', 'stamps', `${days[2]}.tsr`));
  const ofCells = await verified(true, cells);
  assert.deepEqual(Object.keys(ofCells), ['north/gate1 cd', 'south/gate1 ab']);
  assert.deepEqual(
    [ofCells['north/gate1 cd']?.[0], ofCells['south/gate1 ab']?.[0]],
    ['4 stamps', '5 stamps'],
  );

  // A host that moved: its newer journal goes on in the other cell, and is there, too, as far as it came.
  cpSync(join(mirror, 'gate1', newId), join(cells, 'north', 'journals', 'gate1', newId), { recursive: true });
  const segment = segmentFiles(told.directory).at(-1) ?? '';
  rmSync(join(cells, 'north', 'journals', 'gate1', newId, segment));
  assert.deepEqual(await verified(true, cells), {
    'north/gate1 cd': ['2 stamps'],
    'south/gate1 ab': ofCells['south/gate1 ab'],
  });

  // Written anew with the key in the mirror, and its folder of stamps with it, but for the copies: another host without any.
  copy('gate2', anew, newId, days, told);
  copy('gate3', told, newId, []);
  const found = await verified();
  assert.deepEqual(found['gate1 ab'], ['3 stamps']);
  assert.deepEqual(found['gate2 ab']?.[0], '5 stamps');
  assert.ok(found['gate2 ab']?.includes('rewritten'));
  assert.deepEqual(found['gate3 ab'], ['0 stamps', 'stamp']);
  // A stamp that is none is said once, with the newest journal.
  for (const host of ['gate2', 'gate3']) rmSync(join(mirror, host), { recursive: true });
  writeFileSync(join(kept, 'gate1', `${days[4]}.tsr`), 'x');
  assert.deepEqual(await verified(kept), { 'gate1 cd': ['2 stamps'], 'gate1 ab': ['2 stamps', 'stamp'] });
  // The older journal was thrown away, whose records the other one does not have.
  rmSync(join(mirror, 'gate1', oldId), { recursive: true });
  const [count, ...kinds] = (await verified())['gate1 ab'] ?? [];
  assert.deepEqual([count, new Set(kinds)], ['5 stamps', new Set(['rewritten', 'stamp-foreign'])]);
});

void test('plain openssl verifies a stored stamp by the commands of the page', (t) => {
  const told = writeDays(t);
  const commands = [...readPage('docs/shipping.md').matchAll(/^openssl ts -verify .*$/gm)].map(
    ([line]) => line,
  );
  assert.equal(commands.length, 1);
  for (const keys of ['rsa', 'ec'] as const) {
    const by = authorityOf(t, keys);
    const folder = stampDays(t, told, by);
    const [day = ''] = days;
    writeFileSync(join(folder, 'authority.pem'), by.root);
    const openssl = (): number | null => {
      const at = `-attime ${Date.parse(day) / 1000}`;
      const command = (commands[0] ?? '').replaceAll('2026-11-29', day).replace(/-attime \S+/, at);
      return spawnSync('sh', ['-c', command], { cwd: folder }).status;
    };
    assert.equal(openssl(), 0, keys);
    renameSync(join(folder, '2026-11-02.jsonl'), join(folder, `${day}.jsonl`));
    assert.equal(openssl(), 1);
  }
});
