// Goal: @dovegate/doveadm-vectors by itself. Packed, it is installed into an empty folder without a network, and tests a real Dovecot of
// each series, its doveadm, dovegate/client and Net::Doveadm.
// What must not happen: a dependency, or code of dovegate, in the runner; a family that passes whatever is answered; a cut answer that a
// client may report as a whole one.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';
import { readManifest } from '../../architecture/project.js';
import { type Lab, openLab, type Release } from '../../kit/plain/dovecot-lab.js';
import { makeFolder, openFolder } from '../../kit/plain/folder.js';
import { isRunning, type ProgramOptions, runProgram } from '../../kit/plain/program.js';
import { until } from '../../kit/plain/until.js';
import { type Vector, vectorsIn, vectorsOf } from '../../kit/plain/vectors.js';
import { install, sizeOf } from './packing.js';

const testMs = 20 * 60_000;
const version = readManifest().version;

let made: Promise<string> | undefined;

/** Both packages, from their tarballs, for all tests of this process. */
async function installOnce(): Promise<string> {
  const folder = makeFolder();
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  await install(folder, 'vectors', 'client');
  return folder;
}

/** A folder in which they are installed. */
async function installed(t: TestContext): Promise<string> {
  made ??= installOnce();
  const [folder, whole] = [openFolder(t), await made];
  for (const name of readdirSync(whole)) symlinkSync(join(whole, name), join(folder, name));
  return folder;
}

const Result = z.object({
  family: z.string(),
  result: z.enum(['pass', 'fail', 'skip']),
  release: z.string().optional(),
  why: z.string().optional(),
});

interface Run {
  readonly exit: number;
  readonly results: readonly z.infer<typeof Result>[];
  /** Families by their result. */
  of(result: 'pass' | 'fail' | 'skip'): string[];
}

/** Runs the installed program. */
async function play(folder: string, args: readonly string[], env: ProgramOptions['env'] = {}): Promise<Run> {
  const [role = '', ...rest] = args;
  const program = join(folder, 'node_modules/.bin/doveadm-vectors');
  const { exit, stdout, stderr } = await runProgram(program, [role, '--json', ...rest], {
    cwd: folder,
    env,
    timeoutMs: 10 * 60_000,
  });
  const lines = stdout.toString().trim().split('\n').slice(0, -1);
  assert.ok(lines.length > 0, stderr);
  const results = lines.map((line) => Result.parse(JSON.parse(line)));
  return {
    exit,
    results,
    of: (result) => results.filter((each) => each.result === result).map(({ family }) => family),
  };
}

function reasons({ results }: Run, result: 'fail' | 'skip'): string {
  return results
    .filter((each) => each.result === result)
    .map(({ family, why }) => `${family}: ${why}`)
    .join('\n');
}

function onlyOf(...families: string[]): string[] {
  return families.flatMap((family) => ['--only', family]);
}

void test('the package by itself', { timeout: testMs }, async (t) => {
  const folder = await installed(t);
  const own = join(folder, 'node_modules/@dovegate/doveadm-vectors');
  const beside = readdirSync(join(folder, 'node_modules')).toSorted();
  assert.deepEqual(beside, ['.bin', '.package-lock.json', '@dovegate']);
  t.diagnostic(sizeOf(join(folder, `dovegate-doveadm-vectors-${version}.tgz`)));
  const manifest = z
    .looseObject({ version: z.string(), license: z.string() })
    .parse(JSON.parse(readFileSync(join(own, 'package.json'), 'utf8')));
  assert.deepEqual([manifest.version, manifest.license], [version, 'Apache-2.0']);
  assert.ok(!('dependencies' in manifest));
  assert.match(readFileSync(join(own, 'LICENSE'), 'utf8'), /Apache License/);
  for (const name of readdirSync(own).filter((each) => each.endsWith('.mjs')))
    for (const [, from = ''] of readFileSync(join(own, name), 'utf8').matchAll(/from '([^']+)'/g))
      assert.match(from, /^(?:node:\w+|\.\/\w+\.mjs)$/, `${name} imports ${from}`);

  // Each session has the form of the schema, and its bytes say what its `expect` says.
  const schema = z.fromJSONSchema(JSON.parse(readFileSync(join(own, 'vector.schema.json'), 'utf8')));
  const files = readdirSync(join(own, 'vectors')).filter((name) => name.endsWith('.json'));
  for (const name of files) schema.parse(JSON.parse(readFileSync(join(own, 'vectors', name), 'utf8')));
  assert.throws(() => schema.parse([{ ...vectorsIn('quota-get-m1')[0], family: 'x' }]));
  interface Heard {
    replies: { cells?: string[]; text?: string; status: string }[];
    logs: { type: string; text: string }[];
    handshake: string[];
    eof: boolean;
    serverMinor?: number;
    output: string;
  }
  const Sessions = z.custom<{
    families: (role: string) => { name: string; sessions: { steps?: object[] }[] }[];
    heardIn: (session: object) => Heard;
  }>();
  const { families, heardIn } = Sessions.parse(await import(join(own, 'sessions.mjs')));
  const Meaning = z.custom<{ meaningOf: (session: object, heard: Heard) => object }>();
  const { meaningOf } = Meaning.parse(await import(join(own, 'server.mjs')));
  let count = 0;
  for (const { sessions } of [...families('server'), ...families('client')])
    for (const session of sessions) {
      if (session.steps !== undefined) heardIn(session);
      count += 1;
    }
  assert.equal(count, 847);
  // However an answer is compared, a forged one is another answer.
  const forgers: readonly ((heard: Heard) => void)[] = [
    ({ handshake }) => handshake.push('-'),
    (heard) => (heard.serverMinor = 9),
    ({ replies }) => replies.push({ cells: [], status: '+' }),
    ({ replies }) => replies.pop(),
    ({ replies }) => replies.forEach((reply) => (reply.status += 'X')),
    ({ replies }) => replies.forEach(({ cells }) => cells?.splice(0)),
    ({ replies }) => replies.forEach((reply) => reply.text !== undefined && (reply.text = 'x')),
    ({ logs }) => logs.push({ type: 'panic', text: '' }),
    (heard) => (heard.eof = !heard.eof),
  ];
  let forgeries = 0;
  for (const session of vectorsOf('server')) {
    const says = meaningOf(session, heardIn(session));
    for (const forge of forgers) {
      const heard = heardIn(session);
      const before = JSON.stringify(heard);
      forge(heard);
      const isDuplex = session.expect?.output_hex !== undefined;
      // Of dsync only the login and its first line count, and two families are compared by their status alone.
      if (JSON.stringify(heard) === before || (isDuplex && forgers.indexOf(forge) > 1)) continue;
      const byStatus = /^server-(?:log-errors|user-mask)-/.test(session.name);
      if (byStatus && [5, 6].includes(forgers.indexOf(forge))) continue;
      assert.notDeepEqual(meaningOf(session, heard), says, `${session.name} ${String(forge)}`);
      forgeries += 1;
    }
  }
  assert.ok(forgeries > 2500, String(forgeries));
  const [quota] = vectorsIn('quota-get-m1');
  const text = JSON.stringify(quota);
  for (const [from, to] of Object.entries({
    '"status":"+"': '"status":"-"',
    '"72"': '"73"',
    '53544f52': '53544f53',
  })) {
    assert.ok(text.includes(from));
    const other = z.looseObject({}).parse(JSON.parse(text.replace(from, to)));
    assert.throws(() => heardIn(other), /its bytes say/);
  }

  // Families that the pages and the table name are there.
  const names = new Set(files.map((name) => name.slice(0, -'.json'.length)));
  const plays = z
    .object({ needs: z.record(z.string(), z.string()), families: z.record(z.string(), z.looseObject({})) })
    .parse(JSON.parse(readFileSync(join(own, 'plays.json'), 'utf8')));
  const page = readFileSync(join(own, 'PROTOCOL.md'), 'utf8');
  const named = [...page.matchAll(/:\s+((?:`[a-z][a-z0-9-]+`(?:, |$))+)/gm)].flatMap(([, list = '']) =>
    [...list.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
  );
  assert.ok(named.length > 35, named.join());
  for (const name of [...named, ...Object.keys(plays.families)]) assert.ok(names.has(name), name);
  const readme = readFileSync(join(own, 'README.md'), 'utf8');
  for (const need of Object.keys(plays.needs)) assert.match(readme, new RegExp(`^\\| \`${need}\` +\\|`, 'm'));
  assert.ok(readme.includes(`doveadm-vectors-${version}.tgz`));

  const program = join(folder, 'node_modules/.bin/doveadm-vectors');
  const wrong = `|server|server --socket /s --connect h:1|server --socket /s --have everything|server --bogus|client
server --socket /s --only cli-save|server --socket /s --timeout 0`;
  const ends = { 0: 'server --list|client --list|--help', 1: 'server --socket /nonexistent', 64: wrong };
  for (const [exit, lines] of Object.entries(ends))
    for (const line of lines.split(/[|\n]/))
      assert.equal((await runProgram(program, line.split(' ').filter(Boolean))).exit, Number(exit), line);
});

/** The root of a release: empty for that of the system. */
function outerOf(lab: Lab): string {
  return lab.folder.slice(0, lab.folder.length - lab.inRoot(lab.folder).length);
}

/** The call of a release's own doveadm. */
function doveadmOf(lab: Lab): string[] {
  const outer = outerOf(lab);
  const own = ['doveadm', '-c', join(lab.inRoot(lab.folder), 'dovecot.conf')];
  return outer === '' ? own : ['chroot', outer, ...own];
}

/** A folder for sockets that has the same path within the root of the release. */
function commonFolder(t: TestContext, lab: Lab): string {
  const folder = makeFolder();
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const outer = outerOf(lab);
  if (outer === '') return folder;
  const there = `${outer}${folder}`;
  mkdirSync(join(there, 's'), { recursive: true });
  t.after(() => rmSync(there, { recursive: true, force: true }));
  symlinkSync(join(there, 's'), join(folder, 's'));
  return join(folder, 's');
}

const doveadmEnv = { LC_ALL: 'C.UTF-8', TMPDIR: undefined };

/** A session that says something else than what was recorded: in its last reply, or one reply more, or in the minor. */
function forged(session: Vector): Vector {
  const { expect: _expect, ...rest } = structuredClone(session);
  const steps = rest.steps ?? [];
  const heard = steps.filter(({ dir, hex }) => dir === 's2c' && hex !== undefined);
  const last = heard.findLast(({ hex = '' }, at) => (at > 0 || heard.length === 1) && hex.includes('0a'));
  const end = steps.findIndex(({ dir, eof }) => dir === 's2c' && eof === true);
  if (heard.length < 2 || last?.hex === undefined) {
    const hex = (session.minor ?? 0) === 0 ? '0a2b0a' : '00000000030a2b0a';
    steps.splice(end === -1 ? steps.length : end, 0, { dir: 's2c', hex });
  } else {
    // The letter before the last line end: of a status, a log line or a login.
    const at = last.hex.lastIndexOf('0a');
    last.hex = `${last.hex.slice(0, at - 2)}2e${last.hex.slice(at)}`;
  }
  return rest;
}

for (const release of ['native', 'trixie'] satisfies Release[]) {
  void test(`a real Dovecot and its doveadm: ${release}`, { timeout: testMs }, async (t) => {
    const lab = await openLab(t, release, { users: false });
    if ('skip' in lab) return t.skip(lab.skip);
    const folder = await installed(t);
    const own = join(folder, 'node_modules/@dovegate/doveadm-vectors');
    const doveadm = doveadmOf(lab);
    const filled = await runProgram('sh', [join(own, 'setup.sh')], {
      env: { ...doveadmEnv, DOVEADM: doveadm.join(' ') },
    });
    assert.equal(filled.exit, 0, filled.text);

    const socket = ['server', '--socket', lab.unixPreauth, '--have', 'mailboxes'];
    const all = await play(folder, socket);
    assert.equal(reasons(all, 'fail'), '');
    assert.equal(all.exit, 0);
    assert.ok(all.of('pass').length >= 80, reasons(all, 'skip'));
    t.diagnostic(
      `Dovecot ${lab.version}: ${all.of('pass').length} families, ${all.of('skip').length} skipped`,
    );

    const passwordFile = join(folder, 'password');
    writeFileSync(passwordFile, `${lab.password}\n`);
    const families = readdirSync(join(own, 'vectors'))
      .filter((name) => /^(?:auth-|starttls|handshake-auth|quota-get).*\.json$/.test(name))
      .map((name) => name.slice(0, -'.json'.length));
    const login = ['--password-file', passwordFile, '--have', 'mailboxes'];
    const tcp = ['server', '--connect', `${lab.host}:${lab.port}`, ...login];
    const overTcp = await play(folder, [...tcp, ...onlyOf(...families)]);
    assert.equal(reasons(overTcp, 'fail'), '');
    // Recorded of 2.4.5 alone.
    assert.deepEqual(overTcp.of('skip'), ['quota-get-m4'], reasons(overTcp, 'skip'));
    const tls = ['server', '--connect', `localhost:${lab.tlsPort}`, '--tls', '--ca', lab.caFile, ...login];
    const overTls = await play(folder, [...tls, ...onlyOf('tls-implicit', 'quota-get-m1')]);
    assert.equal(overTls.of('pass').length, 2, reasons(overTls, 'fail'));
    writeFileSync(passwordFile, 'wrong\n');
    const wrong = await play(folder, [...tcp, ...onlyOf('quota-get-m1', 'auth-plain-ok')]);
    assert.equal(wrong.of('fail').length, 2);
    assert.equal(wrong.exit, 1);

    // What passed fails when the recorded answer is another one.
    const doubted = 'handshake-garbage nouser-m1 poison-fetch-field quota-get-m0 server-user-one'.split(' ');
    const others = join(folder, 'others');
    mkdirSync(others);
    const ends = 'cli-eof-inside-row cli-quota-get cli-save cli-status-noperm'.split(' ');
    for (const name of [...doubted, ...ends])
      writeFileSync(
        join(others, `${name}.json`),
        JSON.stringify(
          vectorsIn(name).map((session) =>
            session.role === 'server'
              ? forged(session)
              : { ...session, expect: { ...session.expect, exit: (session.expect?.exit ?? 0) + 1 } },
          ),
        ),
      );
    const refused = await play(folder, [...socket, '--timeout', '10', '--vectors', others]);
    assert.deepEqual(refused.of('fail'), doubted, reasons(refused, 'skip'));

    const env = { ...doveadmEnv, TMPDIR: commonFolder(t, lab) };
    const asClient = await play(folder, ['client', '--', ...doveadm, '{args}'], env);
    assert.equal(reasons(asClient, 'fail'), '');
    assert.ok(asClient.of('pass').length >= 56, reasons(asClient, 'skip'));
    const wrongEnds = await play(folder, ['client', '--vectors', others, '--', ...doveadm, '{args}'], env);
    assert.deepEqual(wrongEnds.of('fail'), ends);
  });
}

void test('two client libraries by their adapters, and clients that lie', { timeout: testMs }, async (t) => {
  const folder = await installed(t);
  const examples = join(folder, 'node_modules/@dovegate/doveadm-vectors/examples');
  const adapter = join(folder, 'adapter.mjs');
  cpSync(join(examples, 'dovegate-client.mjs'), adapter);
  const program = ['--', process.execPath, adapter, '{socket}'];
  const ours = await play(folder, ['client', '--release', '2.4.5', ...program]);
  assert.equal(reasons(ours, 'fail'), '');
  assert.equal(ours.of('pass').length, 64);
  const packet = onlyOf(
    ...'cli-fetch-split-escape cli-fetch cli-eof-inside-row cli-log-types cli-save'.split(' '),
  );
  const older = await play(folder, ['client', '--release', '2.3.19.1', ...packet, ...program]);
  assert.equal(older.of('pass').length, 6);

  // Net::Doveadm itself where Perl has it, else a program that behaves like it: the same families fail.
  const hasModule = (await runProgram('perl', ['-MNet::Doveadm', '-MIO::Framed', '-e1'])).exit === 0;
  t.diagnostic(hasModule ? 'Net::Doveadm' : 'Perl has no Net::Doveadm here: a program that behaves like it');
  const perl = hasModule
    ? ['perl', join(examples, 'net-doveadm.pl')]
    : [process.execPath, fileURLToPath(new URL('./net-doveadm.js', import.meta.url))];
  const expected = {
    pass: 'cli-eof-after-row cli-eof-inside-row cli-plain cli-plain-refused cli-quota-get cli-to-minor-0'.split(
      ' ',
    ),
    fail: [
      'cli-fetch-split-escape',
      'cli-fetch-split-escape answered with every byte',
      'cli-mailbox-create',
      'cli-status-noperm',
    ],
    skip: ['cli-save'],
  };
  const recorded = (name: string): boolean => !name.includes(' ');
  const chosen = onlyOf(...Object.values(expected).flat().filter(recorded));
  const net = await play(folder, ['client', '--release', '2.4.5', ...chosen, '--', ...perl, '{socket}']);
  assert.deepEqual(
    { pass: net.of('pass'), fail: net.of('fail'), skip: net.of('skip') },
    expected,
    reasons(net, 'fail'),
  );
  assert.match(reasons(net, 'fail'), /cli-mailbox-create: the status was \+, and it says \{"waits"/);

  // Liars: nothing asked, another user, a cut answer as a whole one, a cell too few, no end.
  const liar = join(folder, 'liar.mjs');
  writeFileSync(
    liar,
    `import { spawnSync } from 'node:child_process';
import { text } from 'node:stream/consumers';
const [lie, socket] = process.argv.slice(2);
const todo = JSON.parse(await text(process.stdin));
if (lie === 'user') todo.user = 'bob@example.org';
if (lie === 'text' && todo.input) todo.input = todo.input.replace('dot', 'dog');
const ask = () => JSON.parse(spawnSync(process.execPath, [${JSON.stringify(adapter)}, socket], { input: JSON.stringify(todo) }).stdout);
let said = lie === 'nothing' ? { status: '+', cells: [] } : ask();
if (lie === 'whole' && said.broken) said = { status: '+', cells: [] };
if (lie === 'fewer' && said.cells) said.cells.pop();
if (lie === 'mute') setInterval(() => {}, 1000);
else console.log(JSON.stringify(said));
`,
  );
  for (const [lie, family, why] of [
    ['nothing', 'cli-mailbox-create', /it did not connect/],
    ['user', 'cli-quota-get', /wanted .*alice@example\.org/],
    ['text', 'cli-save', /the text is/],
    ['whole', 'cli-eof-before-reply', /the answer was cut/],
    ['whole', 'cli-eof-inside-row', /the answer was cut/],
    ['whole', 'cli-plain-refused', /the answer was cut/],
    ['fewer', 'cli-quota-get', /the cells were/],
    ['mute', 'cli-quota-get', /it did not end within 5 s/],
    ['none', 'cli-quota-get', undefined],
  ] as const) {
    const args = ['--release', '2.4.5', '--timeout', '5', '--only', family];
    const told = await play(folder, ['client', ...args, '--', process.execPath, liar, lie, '{socket}']);
    if (why === undefined) assert.deepEqual(told.of('pass'), [family]);
    else assert.match(reasons(told, 'fail'), why, `${lie} ${family}`);
    // It is blamed once: after a wrong command the runner closes, and the client is right to call that broken.
    if (lie === 'user') assert.equal(reasons(told, 'fail').split('\n').length, 1, reasons(told, 'fail'));
  }
});

void test('clients that are nearly right', { timeout: testMs }, async (t) => {
  const folder = await installed(t);
  const nearly = fileURLToPath(new URL('./nearly-client.js', import.meta.url));
  const cut = (...places: string[]): string[] =>
    places.flatMap((place) => [`cli-mailbox-status cut ${place}`, `cli-row-then-tempfail cut ${place}`]);
  for (const [fault, families, wrong] of [
    ['none', ['cli-mailbox-status', 'cli-row-then-tempfail', 'cli-fetch-split-escape'], []],
    [
      'status-without-end',
      ['cli-mailbox-status', 'cli-row-then-tempfail'],
      cut('before the line end of its status', 'inside its status').filter(
        (name) => name !== 'cli-mailbox-status cut inside its status',
      ),
    ],
    [
      'end-is-success',
      ['cli-mailbox-status', 'cli-row-then-tempfail'],
      cut('after its cells', 'inside a header', 'inside a payload'),
    ],
    ['all-hex', ['cli-fetch', 'cli-fetch-split-escape'], []],
    ['both-flags', ['cli-debug-verbose'], []],
    ['escape-is-data', ['cli-fetch-split-escape'], ['cli-fetch-split-escape answered with every byte']],
  ] as const) {
    const chosen = ['client', ...onlyOf(...families), '--', process.execPath, nearly, '{socket}', fault];
    const told = await play(folder, chosen);
    assert.deepEqual(new Set(told.of('fail')), new Set(wrong), `${fault}\n${reasons(told, 'fail')}`);
    if (wrong.length === 0) assert.ok(told.of('pass').length >= families.length, reasons(told, 'skip'));
  }

  // The limit holds for the processes that a client starts, too: nothing is waited for, and nothing is left.
  const pidFile = join(folder, 'pid');
  const starts = (then: string): string[] => ['sh', '-c', `sleep 3600 & echo $! > ${pidFile}; ${then}`, 'sh'];
  for (const command of [starts('wait'), [...starts('exec "$@"'), process.execPath, nearly, '{socket}']]) {
    const args = ['--release', '2.4.5', '--timeout', '5', ...onlyOf('cli-quota-get')];
    const told = await play(folder, ['client', ...args, '--', ...command]);
    assert.match(reasons(told, 'fail'), /it did not end within 5 s/);
    const pid = Number(readFileSync(pidFile, 'utf8'));
    await until(
      () => !isRunning(pid),
      () => `${command.join(' ')}: its child runs on`,
    );
  }
});
