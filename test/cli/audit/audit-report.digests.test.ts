// Goal: a report over a mirror with digests says what one says that verifies everything, and reads only what may hold the mailbox; whoever
// can write to the mirror, and has no key, cannot make it say less without a serious doubt. Phases: with digests and whole; parts, files,
// heads and rows that were changed, removed or are older; keys; retirement; faults. What must not happen: a row that is not there, and
// "complete".
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { packMember } from '../../../src/adapters/journal/compressed.js';
import { bounds } from '../../../src/bounds/bounds.js';
import { checkHosts } from '../../../src/cli/audit/audit-verify.js';
import { mirrorIn } from '../../../src/cli/audit/fleet-places.js';
import { createDigests } from '../../../src/cli/fleet/digests.js';
import { openMirror } from '../../../src/cli/fleet/mirror.js';
import { makeSignKey, parseSignKey, readClaim } from '../../../src/domain/records/audit/ledger.js';
import { formatHead, subjectOf } from '../../../src/domain/records/fleet/block.js';
import { headName, readDigest, rowsName } from '../../../src/domain/records/fleet/digest.js';
import type { FleetMessage } from '../../../src/domain/records/fleet/shapes.js';
import { admission, completion, keepAll, openWatched } from '../../adapters/journal/opening.js';
import { closeBefore } from '../../adapters/journal/reading.js';
import { type Lines, readLines } from '../../fleet/fleet-lab.js';
import { approver, grantRecords, owner } from '../../kit/access-records.js';
import { openFolder } from '../../kit/folder.js';
import { runWarm } from '../../kit/warm-program.js';
import { keepScreen, signKey, writeJournal } from './shown.js';

const host = 'gate1';
const key = makeSignKey();
const verifierKey = parseSignKey(key.secretPem).key;
/** Two commands of it, in two segments. */
const alice = 'alice@example.org';
const userOf = (at: number): string => (at === 5 || at === 30 ? alice : `user${at}@example.org`);

const linesOf = async (t: TestContext, exchanges = 60): Promise<Lines> =>
  readLines(
    await writeJournal(t, exchanges, (record, at) => ({
      ...record,
      user: userOf(at),
      ...(record.event === 'admission' && { users: [userOf(at)] }),
    })),
  );

interface Fleet {
  readonly folder: string;
  readonly state: string;
  readonly config: string;
  /** The directory of its journal. */
  readonly place: string;
}

/** A verifier's state with the mirror of one host, and fleet.yaml. `parts`: after each the mirror is tended. */
async function makeFleet(
  t: TestContext,
  lines: Lines,
  { last = lines.lines.length, first = 1, secretPem = key.secretPem } = {},
): Promise<Fleet> {
  const folder = openFolder(t);
  const state = join(folder, 'state');
  mkdirSync(state);
  writeFileSync(join(state, 'checkpoint.pub'), `${makeSignKey().key}\n${verifierKey}\n`);
  const config = join(folder, 'fleet.yaml');
  const hosts = { [host]: { key: signKey.key } };
  writeFileSync(
    config,
    JSON.stringify({ nats: 'tls://127.0.0.1:1', credentials: '/nowhere', ca: '/nowhere', hosts, state }),
  );
  const fleet = { folder, state, config, place: join(mirrorIn(state), host, lines.id) };
  await mirror(fleet, lines, first, last, { secretPem });
  return fleet;
}

async function mirror(
  { state }: Pick<Fleet, 'state'>,
  lines: Lines,
  first: number,
  last: number,
  { secretPem = key.secretPem, keepMs = Infinity, isClean = true } = {},
): Promise<void> {
  const opened = openMirror({
    state,
    shares: new Map([[host, 1 << 30]]),
    full: () => undefined,
    lacks: () => undefined,
    keepMs,
    digests: createDigests(() => secretPem),
    hostKeys: new Map([[host, signKey.key]]),
  });
  if (first <= last) opened.take(block(lines, first, last), isClean);
  opened.save();
  await opened.tend(Date.now() + 1000);
}

function block({ id, lines }: Lines, first: number, last: number): FleetMessage {
  const some = lines.slice(first - 1, last);
  const head = readClaim(Buffer.from(some.at(-1)?.trimEnd() ?? ''))?.hash ?? '';
  const headers = new Map(formatHead(id, { kind: 'block', first, last, head }));
  const header = (name: string): string => headers.get(name) ?? '';
  const bytes = Buffer.from(some.join(''));
  return { streamSeq: 1, storedMs: 0, subject: subjectOf(host, id), header, bytes };
}

interface Told {
  readonly exit: number;
  readonly text: string;
  readonly complete: boolean;
  readonly rows: readonly string[];
  /** `CODE: TEXT` of each serious doubt, and of the notes about digests. */
  readonly doubts: readonly string[];
  readonly notes: readonly string[];
  readonly hosts: readonly (Readonly<Record<string, unknown>> & {
    readonly digest?: { readonly seq: number };
  })[];
}

interface Verdict extends Pick<Told, 'complete' | 'hosts'> {
  readonly doubts: readonly { readonly code: string; readonly text: string; readonly serious: boolean }[];
}

async function report(place: string, ...flags: string[]): Promise<Told> {
  const mailbox = flags.includes('--mailbox') ? [] : ['--mailbox', alice];
  const done = await runWarm(['audit', 'report', '--fleet', place, '--json', ...mailbox, ...flags]);
  const [head = '', ...rows] = done.stdout.toString().trimEnd().split('\n');
  assert.ok(done.exit <= 1, done.text);
  const { verdict }: { readonly verdict: Verdict } = JSON.parse(head);
  const textsOf = (isSerious: boolean): string[] =>
    verdict.doubts.filter(({ serious }) => serious === isSerious).map(({ code, text }) => `${code}: ${text}`);
  return { ...verdict, exit: done.exit, text: done.text, rows, doubts: textsOf(true), notes: textsOf(false) };
}

/** What is said of the journal, but for who verified it. */
const saidOf = ({ exit, complete, rows, doubts, hosts }: Told) => {
  return { exit, complete, rows, doubts, hosts: hosts.map((one) => ({ ...one, digest: undefined })) };
};

/** As one that verifies everything, and says why it did. */
async function assertWhole({ config }: Fleet, why: RegExp): Promise<void> {
  const found = await report(config);
  assert.deepEqual(saidOf(found), saidOf(await report(config, '--whole')), found.text);
  assert.match(found.notes.join('\n'), why);
  assert.doesNotMatch(found.text, /verifier of the mirror,/);
}

const segments = (place: string): readonly string[] =>
  readdirSync(place)
    .filter((name) => name.endsWith('.gz'))
    .toSorted();

/** The segments with a command of the mailbox. */
const withAlice = (place: string): readonly string[] =>
  segments(place).filter((name) => gunzipSync(readFileSync(join(place, name))).includes(`"${alice}"`));

void test('with digests: the same as with everything verified, and only what may hold the mailbox is read', async (t) => {
  const lines = await linesOf(t);
  const fleet = await makeFleet(t, lines);
  const { config, place } = fleet;
  const whole = await report(config, '--whole');
  assert.deepEqual(
    [whole.exit, whole.complete, whole.rows.length, whole.notes],
    [0, true, 2, []],
    whole.text,
  );
  const found = await report(config);
  assert.deepEqual(saidOf(found), saidOf(whole), found.text);
  const digest = readDigest(readFileSync(join(place, headName), 'utf8'));
  assert.deepEqual(found.hosts[0]?.digest, {
    seq: digest?.state.last?.seq,
    to: digest?.state.lastRecordTime,
    key: verifierKey,
  });
  assert.match(
    found.notes.join('\n'),
    /^digested: 1 journal was verified up to .* UTC by the verifier of the mirror, key /m,
  );
  assert.ok(found.text.includes(verifierKey));
  const table = await runWarm(['audit', 'report', '--fleet', config, '--mailbox', alice]);
  assert.match(table.text, /; verified to record \d+ by the verifier of the mirror$/m);
  const early = ['--to', '2020-01-01'];
  assert.deepEqual(saidOf(await report(config, ...early)), saidOf(await report(config, ...early, '--whole')));
  const like = ['--mailbox', 'alicee@example.org'];
  assert.deepEqual(saidOf(await report(config, ...like)), saidOf(await report(config, ...like, '--whole')));

  // Segments that cannot hold it are not opened.
  const needed = withAlice(place);
  assert.ok(needed.length === 2 && segments(place).length > 4);
  for (const name of segments(place)) if (!needed.includes(name)) writeFileSync(join(place, name), '');
  assert.deepEqual(saidOf(await report(config)), saidOf(whole));
  assert.notEqual((await report(config, '--whole')).exit, 0);
});

void test('a part that may hold the mailbox and was changed is a serious doubt with its file', async (t) => {
  const lines = await linesOf(t);
  const attacks: Readonly<Record<string, (path: string, place: string, other: string) => void>> = {
    'a byte': (path) => {
      const bytes = readFileSync(path);
      bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 1;
      writeFileSync(path, bytes);
    },
    'its end': (path) => writeFileSync(path, readFileSync(path).subarray(0, -100)),
    nothing: (path) => writeFileSync(path, ''),
    // The filter in the head of the member.
    'its sketch': (path) => {
      const bytes = readFileSync(path);
      writeFileSync(path, bytes.fill(0, 12 + 4 + 4 + 32, 12 + bytes.readUInt16LE(10)));
    },
    // With the line of the mailbox taken out, as a right member.
    'a member': (path) => {
      const text = gunzipSync(readFileSync(path)).toString();
      writeFileSync(path, packMember(Buffer.from(text.replaceAll(alice, 'nobody@example'))));
    },
    'a gzip file': (path) => writeFileSync(path, gzipSync(gunzipSync(readFileSync(path)))),
    'another segment': (path, place, other) => cpSync(join(place, other), path),
  };
  const fleet = await makeFleet(t, lines);
  for (const [name, attack] of Object.entries(attacks)) {
    const state = openFolder(t);
    cpSync(fleet.state, state, { recursive: true });
    const config = join(state, 'fleet.yaml');
    writeFileSync(config, JSON.stringify({ ...JSON.parse(readFileSync(fleet.config, 'utf8')), state }));
    const place = join(mirrorIn(state), host, lines.id);
    const [first = ''] = withAlice(place);
    attack(join(place, first), place, segments(place).at(-1) ?? '');
    const found = await report(config);
    assert.deepEqual(
      [found.exit, found.complete, found.rows.length],
      [1, false, 1],
      `${name}: ${found.text}`,
    );
    assert.match(
      found.doubts.join('\n'),
      new RegExp(`^fault: gate1: .*/${first}: changed: its part at byte 0 `, 'm'),
      name,
    );
    // The name of a user who is not there either has the doubt, if only the names are looked through.
    assert.equal((await report(config, '--mailbox', 'alice@example.com')).complete, false, name);
  }
});

void test('a digest that is not what it should be is not used: the journal is verified whole', async (t) => {
  const lines = await linesOf(t);
  const fleet = await makeFleet(t, lines);
  const copies = openFolder(t);
  cpSync(fleet.place, copies, { recursive: true });
  const { place } = fleet;
  const restore = (): void => {
    rmSync(place, { recursive: true });
    cpSync(copies, place, { recursive: true });
  };
  const attack = async (why: RegExp, change: () => void): Promise<void> => {
    change();
    await assertWhole(fleet, why);
    restore();
  };
  const [head, rows] = [join(place, headName), join(place, rowsName)];
  const text = readFileSync(head, 'utf8');
  const changed = (path: string, change: (bytes: Buffer) => void) => (): void => {
    const bytes = readFileSync(path);
    change(bytes);
    writeFileSync(path, bytes);
  };
  await attack(/whole now: no digest \(1\)/, () => rmSync(head));
  await attack(/no digest/, () => writeFileSync(head, text.replace(/"records":\d/, '"records":9')));
  await attack(/no digest/, () => writeFileSync(head, 'x'.repeat(100)));
  await attack(/does not fit its rows/, () => rmSync(rows));
  await attack(/does not fit its rows/, () => writeFileSync(rows, ''));
  // Bits of the sketches.
  await attack(
    /does not fit its rows/,
    changed(rows, (bytes) => bytes.fill(0, 68 + 32, 68 + 100)),
  );
  await attack(
    /does not fit its rows/,
    changed(rows, (bytes) => bytes.copyWithin(0, 40)),
  );
  await attack(/a checkpoint beside it/, () =>
    writeFileSync(join(place, 'checkpoint.json'), lines.lines.at(-1) ?? ''),
  );
  const [first = '', second = '', ...later] = segments(place);
  for (const name of [second, ...later]) await attack(/other segments/, () => rmSync(join(place, name)));
  await attack(/other segments/, () => writeFileSync(join(place, '00000000.jsonl'), lines.lines[0] ?? ''));
  await attack(/other segments/, () => {
    for (const name of [first, second, ...later]) rmSync(join(place, name));
  });

  // A plain file of a covered segment is not read, where the signed one is there.
  const before = await report(fleet.config);
  writeFileSync(join(place, second.slice(0, -3)), '');
  assert.deepEqual(saidOf(await report(fleet.config)), saidOf(before));
  restore();

  // Of the verifier's own other journals, and of other hosts.
  const other = await makeFleet(t, await linesOf(t));
  await attack(/the digest of another journal/, () => {
    for (const name of [headName, rowsName]) cpSync(join(other.place, name), join(place, name));
  });
  const moved = join(mirrorIn(fleet.state), 'gate2');
  mkdirSync(moved);
  cpSync(place, join(moved, lines.id), { recursive: true });
  const found = await report(fleet.config);
  assert.match(found.notes.join('\n'), /whole now: the digest of another journal \(1\)/);
  assert.match(found.doubts.join('\n'), /^unsigned: gate2: /m);
  rmSync(moved, { recursive: true });
});

void test('an older digest with its own rows covers less, and nothing is lost', async (t) => {
  const lines = await linesOf(t);
  const half = lines.lines.length >> 1;
  const fleet = await makeFleet(t, lines, { last: half });
  const { place, config } = fleet;
  const older = openFolder(t);
  for (const name of [headName, rowsName]) cpSync(join(place, name), join(older, name));
  await mirror(fleet, lines, half + 1, lines.lines.length);
  const found = await report(config);
  const seqOfDigest = ({ hosts }: Told): number => hosts[0]?.digest?.seq ?? 0;
  cpSync(join(older, headName), join(place, headName));
  const oldHead = await report(config);
  cpSync(join(older, rowsName), join(place, rowsName));
  const old = await report(config);
  for (const one of [oldHead, old]) {
    assert.deepEqual(saidOf(one), saidOf(found), one.text);
    assert.ok(seqOfDigest(one) < seqOfDigest(found));
  }
  assert.equal(found.complete, true);
});

void test('another key: of the verifier, of the host, of the command line, or of nobody', async (t) => {
  const lines = await linesOf(t);
  await assertWhole(
    await makeFleet(t, lines, { secretPem: makeSignKey().secretPem }),
    /a digest of an unknown key/,
  );
  const fleet = await makeFleet(t, lines);
  const { config, folder, state } = fleet;
  const asked: object = JSON.parse(readFileSync(config, 'utf8'));
  const next = makeSignKey();
  const pub = join(folder, 'next.pub');
  writeFileSync(pub, next.key);
  const withKey = await report(config, '--key', pub);
  assert.match(withKey.notes.join('\n'), /a digest for another key of the host \(1\)/);
  writeFileSync(config, JSON.stringify({ ...asked, hosts: { [host]: { key: next.key } } }));
  await assertWhole(fleet, /a digest for another key of the host \(1\)/);
  assert.equal((await report(config)).complete, false);
  // The key before the present one of the verifier does not count.
  writeFileSync(config, JSON.stringify(asked));
  writeFileSync(join(state, 'checkpoint.pub'), `${verifierKey}\n${next.key}\n`);
  await assertWhole(fleet, /a digest of an unknown key/);
  rmSync(join(state, 'checkpoint.pub'));
  await assertWhole(fleet, /a digest of an unknown key/);
  // Whoever can write to the state has put another one there; where the settings list it, the state is not asked.
  writeFileSync(join(state, 'checkpoint.pub'), `${next.key}\n`);
  const listed = (...keys: string[]): void => {
    const pubs = join(folder, 'verifier.pub');
    writeFileSync(pubs, `${keys.join('\n')}\n`);
    writeFileSync(config, JSON.stringify({ ...asked, verifiers: { audit: { key: pubs } } }));
  };
  listed(next.key, verifierKey);
  assert.match((await report(config)).notes.join('\n'), /^digested: 1 journal was verified up to/);
  writeFileSync(join(state, 'checkpoint.pub'), `${verifierKey}\n`);
  listed(verifierKey, next.key);
  await assertWhole(fleet, /a digest of an unknown key/);
});

void test('segments that are gone from the beginning: explained by retention, or a serious doubt', async (t) => {
  const lines = await linesOf(t);
  const cut = await makeFleet(t, lines);
  const [oldest = '', next = ''] = segments(cut.place);
  for (const name of [oldest, next]) {
    rmSync(join(cut.place, name));
    const found = await report(cut.config);
    assert.deepEqual(saidOf(found), saidOf(await report(cut.config, '--whole')), found.text);
    const gone = name.slice(0, -3);
    assert.match(
      found.doubts[0] ?? '',
      new RegExp(`^fault: gate1: .*${gone}: .*segment-missing: .* no signed record`),
    );
    assert.match(found.notes.join('\n'), /by the verifier of the mirror, key /);
  }

  const directory = await writeJournal(t, 40);
  const before = readLines(directory);
  const gate = await openWatched(directory, {
    segmentBytes: 8192,
    signKey: signKey.secretPem,
    limits: () => ({ ...keepAll, keepMs: 0 }),
  });
  closeBefore(t, () => gate.journal.close());
  await gate.seen('tended');
  const ofAlice = { ...admission('F0'), user: alice, users: [alice] };
  for (let at = 0; at < 30; at += 1)
    await gate.journal.appendDurable(at === 0 ? ofAlice : admission(`F${at}`));
  await gate.journal.close();
  const seqOf = (line: string): number => readClaim(Buffer.from(line.trimEnd()))?.seq ?? 0;
  const left = linesIn(directory);
  const all = [...before.lines, ...left.filter((line) => seqOf(line) > before.lines.length)];
  const retired = { id: before.id, lines: all };
  const fleet = await makeFleet(t, retired);
  const count = segments(fleet.place).length;
  await mirror(fleet, retired, 1, 0, { keepMs: 0 });
  assert.ok(segments(fleet.place).length < count);
  for (const flags of [[], ['--from', '2020-01-01']]) {
    const found = await report(fleet.config, ...flags);
    assert.deepEqual(saidOf(found), saidOf(await report(fleet.config, ...flags, '--whole')), found.text);
    assert.match(found.notes.join('\n'), /by the verifier of the mirror, key /);
    assert.deepEqual([found.complete, found.rows.length], [flags.length === 0, 1], found.text);
  }
});

function linesIn(directory: string): readonly string[] {
  const texts = readdirSync(directory)
    .toSorted()
    .flatMap((name) => {
      const bytes = /\.jsonl(\.gz)?$/.test(name) ? readFileSync(join(directory, name)) : Buffer.alloc(0);
      return name.endsWith('.gz') ? gunzipSync(bytes) : bytes;
    });
  return Buffer.concat(texts)
    .toString()
    .split(/(?<=\n)/);
}

void test('a digest with faults is not used: what came late could be hidden by an older one', async (t) => {
  const lines = await linesOf(t);
  const fleet = await makeFleet(t, lines, { last: 9 });
  await mirror(fleet, lines, 12, lines.lines.length, { isClean: false });
  await assertWhole(fleet, /whole now: a digest with faults \(1\)/);
  assert.match((await report(fleet.config)).doubts.join('\n'), /missing: records 10 to 11 are missing/);
});

void test('cells: their listed keys count; of a directory nothing is complete', async (t) => {
  const lines = await linesOf(t);
  const { folder, state, place } = await makeFleet(t, lines);
  const cells = join(folder, 'cells.yaml');
  const write = (listed: string): void =>
    writeFileSync(
      cells,
      JSON.stringify({
        cells: { north: { key: listed, directory: state, hosts: { [host]: { key: signKey.key } } } },
      }),
    );
  write(verifierKey);
  const found = await report(cells);
  assert.deepEqual(saidOf(found), saidOf(await report(cells, '--whole')), found.text);
  assert.deepEqual([found.complete, found.rows.length], [true, 2]);
  assert.match(found.notes.join('\n'), /by the verifier of the mirror, key /);
  write(makeSignKey().key);
  assert.match((await report(cells)).notes.join('\n'), /a digest of an unknown key/);

  for (const directory of [mirrorIn(state), folder]) {
    const of = await report(directory);
    assert.match(of.notes.join('\n'), /by the verifier of the mirror, key /, directory);
    assert.deepEqual([of.complete, of.rows.length], [false, 2]);
    assert.match(of.doubts.join('\n'), /^unsigned: /);
    const pub = join(folder, 'gate1.pub');
    writeFileSync(pub, signKey.key);
    const keyed = await report(directory, '--key', pub);
    assert.deepEqual([keyed.complete, keyed.rows.length], [true, 2], keyed.text);
    assert.match(keyed.notes.join('\n'), /whole now: a digest whose key is not listed \(1\)/);
  }

  // Another cell has a part of the journal.
  const south = join(folder, 'south');
  const part = join(mirrorIn(south), host, lines.id);
  mkdirSync(part, { recursive: true });
  cpSync(join(place, segments(place)[0] ?? ''), join(part, segments(place)[0] ?? ''));
  assert.match((await report(folder)).notes.join('\n'), /parts of it in several cells \(1\)/);
});

void test('more rows than bounds.reportKept are read again, and so is what was changed', async (t) => {
  const lines = readLines(
    await writeJournal(t, bounds.reportKept + 20, (record) => ({ ...record, user: alice })),
  );
  const { config, place } = await makeFleet(t, lines);
  const found = await report(config);
  assert.deepEqual(saidOf(found), saidOf(await report(config, '--whole')));
  assert.deepEqual([found.complete, found.rows.length], [true, bounds.reportKept + 20]);
  const [first = ''] = segments(place);
  writeFileSync(join(place, first), '');
  const cut = await report(config);
  assert.equal(cut.complete, false);
  assert.match(cut.doubts.join('\n'), new RegExp(`/${first}: changed: `));
});

void test('who approved a grant is found in parts that its id names, and a changed one is a serious doubt', async (t) => {
  const directory = join(openFolder(t), 'audit');
  const { journal } = await openWatched(directory, { segmentBytes: 8192, signKey: signKey.secretPem });
  const { time } = admission('x');
  // For all of a domain: the name of the mailbox is not in these records.
  const all = { users: ['*@example.org'], user: '*@example.org' };
  for (const record of grantRecords('G1', time, all)) await journal.appendDurable(record);
  for (let at = 0; at < 60; at += 1) {
    const own = at === 50 ? { user: alice, users: [alice], principal: owner, grant: 'G1' } : {};
    await journal.appendDurable({ ...admission(`E${at}`), ...own });
    journal.append({ ...completion(`E${at}`), ...own });
  }
  await journal.close();
  const lines = linesIn(directory);
  const fleet = await makeFleet(t, { id: String(JSON.parse(lines[0] ?? '').journal), lines });
  const found = await report(fleet.config);
  assert.deepEqual(saidOf(found), saidOf(await report(fleet.config, '--whole')), found.text);
  assert.deepEqual([found.complete, found.rows.length], [true, 1]);
  assert.match(found.rows[0] ?? '', new RegExp(`"approved_by":"[^"]*${approver}`));
  const [first = ''] = segments(fleet.place);
  writeFileSync(join(fleet.place, first), '');
  const cut = await report(fleet.config);
  assert.deepEqual([cut.complete, cut.rows.length], [false, 1], cut.text);
  assert.match(cut.doubts.join('\n'), new RegExp(`/${first}: changed: `));
});

void test('the verifier removes the first segments while they are read: they are not called changed', async (t) => {
  const fleet = await makeFleet(t, await linesOf(t));
  const removeFirst = (): void => rmSync(join(fleet.place, segments(fleet.place)[0] ?? assert.fail()));
  const check = async (meanwhile: () => void) => {
    let isDone = false;
    const [checked] = await checkHosts(
      keepScreen(),
      { paths: [], config: undefined, fleet: fleet.config },
      { key: [], isWhole: false, isOver: () => false },
      () => ({
        take: () => undefined,
        wants() {
          if (!isDone) meanwhile();
          isDone = true;
          return true;
        },
      }),
    );
    const [journal] = checked?.journals ?? [];
    return {
      digest: journal?.digest?.seq,
      faults: [...(journal?.differing ?? []), ...(journal?.verdict.faults ?? [])],
    };
  };
  const meanwhile = await check(removeFirst);
  assert.deepEqual(meanwhile, await check(() => undefined));
  // Nobody signed that they may be removed.
  assert.deepEqual(
    meanwhile.faults.map(({ kind }) => kind),
    ['segment-missing'],
  );
  const second = segments(fleet.place)[1] ?? assert.fail();
  const { faults } = await check(() => rmSync(join(fleet.place, second)));
  assert.ok(faults.some(({ kind, file }) => kind === 'changed' && file === second));
});

void test('the end was cut off: a digest that is left says how far the verifier had mirrored it', async (t) => {
  const fleet = await makeFleet(t, await linesOf(t));
  const { config, place } = fleet;
  const to = new Date(Date.now() + 3_600_000).toISOString();
  const names = readdirSync(place)
    .filter((name) => name.includes('.jsonl'))
    .toSorted();
  for (const name of names.slice(-2)) rmSync(join(place, name));
  for (const flags of [[], ['--to', to], ['--whole']]) {
    const found = await report(config, ...flags);
    assert.equal(found.exit, 1);
    assert.match(
      found.doubts.join('\n'),
      /^ends-earlier: gate1: the verifier had mirrored and signed it to record \d+, \S+ \S+ UTC, and it ends at record \d+: its end was cut off$/m,
    );
  }
});
