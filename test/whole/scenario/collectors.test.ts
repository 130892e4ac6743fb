// Goal: every record reaches a collector of OpenTelemetry and a file, whatever goes away in between. Phases: both receivers under load,
// while dovegate ship is killed, the file renamed and cut; answers that are none; what a file may hold; a full disk. What each answer of a
// collector means is tested in test/ship/shipping/otlp-carrier. What must not happen: a record that is lost, one that is in the file twice,
// a secret in the log, a file of somebody else that is changed.
import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { type Daemon, startShip } from '../../kit/gate/daemon.js';
import { openGateway } from '../../kit/gate/gateway.js';
import { type Collector, openCollector, success } from '../../kit/gate/otlp-collector.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { recordFaults } from '../../kit/plain/record-validator.js';
import { withSmallDisk } from '../../kit/plain/small-disk.js';
import { until } from '../../kit/plain/until.js';

const authority = makeAuthority({ name: 'collector authority' });
const quota = { user: 'alice@example.org', fields: ['quota get'] };
const secret = 'Bearer s3cr3t-of-the-collector';
const audit = (ship: string): string =>
  `{ door: ship.sock, directory: audit, memory: shm/audit.ring, memory_size: 4MiB, reserve: 4KiB, ship: [${ship}] }`;
const otlpSink = ({ port }: Collector, more = ''): string =>
  `{ otlp: "https://localhost:${port}", ca: ca.pem${more} }`;
const files = { headers: `Authorization: ${secret}\nX-Scope: mail\n` };

const linesIn = (...paths: readonly string[]): string[] =>
  paths.flatMap((path) => (existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []));
const seqsIn = (lines: readonly string[]): number[] => lines.map((line) => Number(JSON.parse(line).seq));
const journalOf = (daemon: Daemon): string[] => daemon.audit().map(({ text }) => text);

async function openGate(t: TestContext, ship: string) {
  return openGateway(t, { audit: audit(ship), authority, files, more: 'admin: { unix: admin.sock }' });
}

void test('kills of dovegate ship, and a file that is renamed and cut: nothing is lost, and nothing is in the file twice', {
  timeout: 240_000,
}, async (t) => {
  const collector = await openCollector(t, authority);
  const { daemon, client } = await openGate(
    t,
    `${otlpSink(collector, ', headers_file: headers')}, { file: out/records.jsonl }`,
  );
  const path = daemon.path('out/records.jsonl');
  mkdirSync(daemon.path('out'));
  const one = await client();
  const work = async (commands: number): Promise<void> => {
    for (let at = 0; at < commands; at += 1) assert.equal((await one.ask(quota)).status, '+');
  };
  const hasAll = (place: () => readonly string[]) => () => {
    const come = new Set(place());
    return journalOf(daemon).every((line) => come.has(line));
  };
  const parts: string[] = [];
  const all = (): string[] => linesIn(...parts, path);
  let ship = await startShip(t, daemon);
  const said: string[] = [];
  for (let round = 0; round < 4; round += 1) {
    const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    const working = work(80);
    // This process writes: what was renamed while none ran may come again for a second.
    await until(
      () => (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > size,
      () => `the file grows\n${ship.output()}`,
    );
    if (round % 2 === 1) {
      // As logrotate does.
      parts.push(`${path}.${round}`);
      renameSync(path, `${path}.${round}`);
      await until(
        () => existsSync(path),
        () => `the file is made again\n${ship.output()}`,
      );
      await until(() => linesIn(path).length > 0, 'it gets records');
    }
    await working;
    await ship.kill();
    // What a kill in a write would leave.
    if (round === 2) appendFileSync(path, '{"seq":99999,"time":"2026');
    said.push(ship.output());
    ship = await startShip(t, daemon);
  }
  await until(hasAll(all), () => `the file has all\n${ship.output()}`);
  await until(
    hasAll(() => collector.lines),
    () => `the collector has all\n${ship.output()}`,
  );
  const seqs = seqsIn(all());
  assert.deepEqual(
    seqs,
    seqs.map((_, at) => at + 1),
    'each record once, in order',
  );
  assert.deepEqual(all().flatMap(recordFaults), []);
  assert.deepEqual(collector.faults, []);
  for (const { headers } of collector.requests) {
    assert.equal(headers.authorization, secret);
    assert.equal(headers['x-scope'], 'mail');
  }
  assert.equal(statSync(path).mode & 0o777, 0o640);
  const verified = await runWarm(['audit', 'verify', '--received', '--unsigned', ...parts, path]);
  assert.equal(verified.exit, 0, verified.stderr);
  assert.ok(!`${said.join('')}${ship.output()}${daemon.output()}`.includes('s3cr3t'));

  // copytruncate of logrotate: what was copied is not written again.
  const before = seqs.length;
  truncateSync(path, 0);
  await work(3);
  await until(() => linesIn(path).length > 0, 'it goes on after the cut');
  await until(() => seqsIn(linesIn(path)).at(-1) === journalOf(daemon).length, 'up to the end');
  assert.ok((seqsIn(linesIn(path))[0] ?? 0) > before);
});

void test('answers that are none, and files that are not ours: neither is taken, and no file is changed, nor what a link names', {
  timeout: 120_000,
}, async (t) => {
  const answers = {
    html: { status: 200, headers: { 'Content-Type': 'text/html' }, body: '<html>welcome</html>' },
    empty: { status: 200 },
    'no content': { status: 204 },
    redirect: { status: 307, headers: { Location: 'https://localhost:1/v1/logs' } },
    'no rights': { status: 401 },
    'too long': { status: 200, body: `{"a":"${'x'.repeat(1024 ** 2)}"}` },
  };
  const said: Readonly<Record<keyof typeof answers, RegExp>> = {
    html: /not of OTLP/,
    empty: /not of OTLP/,
    'no content': /not of OTLP/,
    redirect: /answers with 307/,
    'no rights': /answers with 401/,
    'too long': /more than \d+ bytes/,
  };
  const collectors = new Map<string, Collector>();
  for (const [name, told] of Object.entries(answers)) {
    const collector = await openCollector(t, authority);
    collector.answerAll(told);
    collectors.set(name, collector);
  }
  const names = ['other.jsonl', 'link.jsonl', 'folder', 'none/records.jsonl', 'good.jsonl'];
  const { daemon, client } = await openGate(
    t,
    [
      ...[...collectors.values()].map((each) => otlpSink(each)),
      ...names.map((name) => `{ file: ${name} }`),
    ].join(', '),
  );
  const other = 'somebody else wrote this\nand this';
  writeFileSync(daemon.path('other.jsonl'), other);
  writeFileSync(daemon.path('target'), '');
  symlinkSync('target', daemon.path('link.jsonl'));
  mkdirSync(daemon.path('folder'));
  await (await client()).ask(quota);
  const ship = await startShip(t, daemon);
  for (const [name, { port }] of collectors)
    await ship.waitForLog(
      ({ event, sink, text }) =>
        event === 'ship-away' &&
        sink === `localhost:${port}` &&
        Object.entries(said).some(([each, pattern]) => each === name && pattern.test(String(text))),
      `${name} is away`,
    );
  for (const { lines } of collectors.values()) assert.deepEqual(lines, []);
  for (const collector of collectors.values()) collector.answerAll(success);

  for (const name of names.slice(0, 4))
    await ship.waitForLog(
      ({ event, sink, type }) =>
        event === 'ship-away' && type === 'file-failed' && sink === daemon.path(name),
      `${name} is refused`,
    );
  await until(
    () => linesIn(daemon.path('good.jsonl')).length >= journalOf(daemon).length,
    'the good one has all',
  );
  assert.equal(readFileSync(daemon.path('other.jsonl'), 'utf8'), other);
  assert.equal(readFileSync(daemon.path('target'), 'utf8'), '');
});

void test('a full disk: no line is torn, nothing is lost, and it goes on when there is room', {
  timeout: 120_000,
}, async (t) => {
  const isThere = await withSmallDisk('tmpfs', async (place, owner) => {
    const path = join(place, 'records.jsonl');
    const ballast = join(place, 'ballast');
    const { daemon, client } = await openGateway(owner, { audit: audit(`{ file: ${path} }`), authority });
    const one = await client();
    writeFileSync(ballast, Buffer.alloc((2 << 20) - (24 << 10)));
    const ship = await startShip(owner, daemon);
    for (let at = 0; at < 100; at += 1) assert.equal((await one.ask(quota)).status, '+');
    const away = await ship.waitForLog(
      ({ event, type }) => event === 'ship-away' && type === 'file-failed',
      'the disk is full',
    );
    assert.match(String(away['text']), /ENOSPC/);
    // It tries again and again: what did not go in whole is cut off each time.
    await until(() => readFileSync(path, 'utf8').endsWith('\n'), 'no line is torn');
    rmSync(ballast);
    await until(
      () => linesIn(path).length >= journalOf(daemon).length,
      () => ship.output(),
    );
    assert.deepEqual(
      seqsIn(linesIn(path)),
      linesIn(path).map((_, at) => at + 1),
    );
  });
  if (!isThere) t.skip('no small file system can be mounted here');
});
