// Goal: "who read alice's mail between two dates, and is the log complete?", answered by three commands from a journal that a daemon wrote,
// with a proof that a stranger checks by examples/check-proof.py and the commands of docs/audit-guide.md as they are written there. Phases:
// a day of commands, a stop; report, verify, export; the stranger. What must not happen: a command that reached alice's mailbox and is not
// in the report, a verdict that hides what is missing, a proof that passes with a byte or a line changed.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { auditRecords, openGateway } from '../../kit/gate/gateway.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { makeFolder, removeAfter } from '../../kit/plain/folder.js';
import { runProgram } from '../../kit/plain/program.js';
import { readPage } from '../cli/docs-page.js';
import { fencesOf } from '../cli/docs-steps.js';

const alice = 'alice@example.org';
const bob = 'bob@example.org';

const policy = `
    users: ["*"]
    allow:
      - quota get
      - { command: search, content: true }
      - { command: fetch, content: true }
      - { command: expunge, where: { query: { mailbox: [Trash] } } }
      - { command: copy, where: { destination-mailbox: any, source-user: any, query: any } }
      - { command: who, masks: true }`;

/** What came, and whether alice is touched and shown: user, then the line. */
const day: readonly (readonly [string, readonly string[], boolean])[] = [
  [alice, ['quota get'], true],
  [bob, ['quota get'], false],
  [alice, ['fetch', 'text', 'mailbox', 'INBOX', 'all'], true],
  [alice, ['fetch', 'uid', 'mailbox', 'INBOX', 'all'], true],
  [bob, ['fetch', 'text', 'all'], false],
  [alice, ['search', 'body', 'salary'], true],
  [alice, ['expunge', 'mailbox', 'Trash', 'savedbefore', '30d'], true],
  // Denied: the policy knows no such command.
  [alice, ['mailbox delete', 'Work'], true],
  [bob, ['copy', 'Taken', 'user', alice, 'mailbox', 'INBOX', 'all'], true],
  ['', ['who', 'al*'], true],
  ['', ['who'], true],
];

/** The Python program of the package, and the commands of the page by hand. */
function programsOfThePage(): { readonly python: string; readonly byHand: string } {
  const fences = fencesOf(readPage('docs/audit-guide.md'));
  const python = readPage('examples/check-proof.py');
  const [byHand] = fences.filter(({ language, text }) => language === 'sh' && text.includes('pkeyutl'));
  assert.ok(byHand !== undefined, 'the page has it');
  const lines = python.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'));
  assert.ok(lines.length <= 42, `${lines.length} lines`);
  return { python, byHand: byHand.text };
}

/** A folder with nothing but the file, the public key and the programs. */
function openStranger(t: TestContext, proof: string, publicPem: string) {
  const folder = makeFolder();
  removeAfter(t, folder);
  const { python, byHand } = programsOfThePage();
  writeFileSync(join(folder, 'check-proof.py'), python);
  writeFileSync(join(folder, 'key.pub'), publicPem);
  const write = (text: string): void => writeFileSync(join(folder, 'proof.txt'), text);
  write(proof);
  return {
    write,
    own: () => runWarm(['audit', 'check-proof', join(folder, 'proof.txt'), '--key', join(folder, 'key.pub')]),
    check: () => runProgram('python3', ['check-proof.py', 'proof.txt', 'key.pub'], { cwd: folder }),
    byHand: () => runProgram('bash', ['-euc', byHand], { cwd: folder }),
  };
}

const hasPython = spawnSync('python3', ['--version']).status === 0;
const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

test('who read the mail of alice, and is the log complete?', { timeout: 180_000 }, async (t) => {
  const { daemon, client } = await openGateway(t, {
    policy,
    backend: {
      script: async ({ fields }, connection) => {
        if (fields[0] === 'fetch') await connection.row('Dear Alice');
        if (fields[0] === 'search') await connection.row('guid', '1');
        await connection.status('+');
      },
    },
  });
  const one = await client();
  for (const [user, fields] of day) {
    await one.ask({ user, fields: [...fields] });
  }
  one.halfClose();
  await one.readEnd();
  await daemon.stop();
  const records = auditRecords(daemon);
  const admissions = records.filter(({ event }) => event === 'admission');
  assert.equal(admissions.length, day.length);
  const touching = admissions.filter((_, at) => day[at]?.[2]).map(({ id }) => String(id));

  // A journal has no earlier record than its first, so the time begins there.
  const from = String(records[0]?.['time']);
  const audit = (...args: string[]) => runWarm(['audit', ...args, '--config', daemon.configFile]);

  const text = await audit('report', '--mailbox', alice, '--from', from);
  assert.equal(text.exit, 0, text.text);
  const [, answer, verdict = '', ...rest] = text.text.split('\n');
  assert.equal(answer, '1 command deleted what it named, as far as it was there; 1 attempt was denied.');
  assert.match(
    verdict,
    /^complete from .* UTC, signed by \S+= \(this host's own key\)(?: until \S+ \S+ UTC, \d+ later commands? not signed yet)?, nothing missing, 1 requester, \d+ commands, 2 of them showed content, 1 searched in content$/,
  );
  assert.match(rest.join('\n'), /note: 2 commands may have touched it/);
  assert.match(rest.join('\n'), /note: 1 more command never reached a mail server \(1 denied, 0 failed\)/);
  assert.match(rest.join('\n'), /showed content +1 .* fetch/);
  assert.match(rest.join('\n'), /changed +1 .* copy +showed content/);
  assert.match(rest.join('\n'), / deleted +1 .* expunge/);

  const json = await audit('report', '--mailbox', alice, '--from', from, '--json');
  const rows = json.text.trimEnd().split('\n').slice(1);
  assert.deepEqual(rows.map((line) => String(JSON.parse(line).id)).toSorted(), touching.toSorted());

  const early = await audit('report', '--mailbox', alice, '--from', '2020-01-01', '--to', 'today');
  assert.equal(early.exit, 1);
  assert.match(early.text, /NOT proved complete from 2020-01-01 [^]*the journal begins at /);

  const verified = await audit('verify');
  assert.equal(verified.exit, 0, verified.text);

  const exported = await audit('export', '--user', alice, '--since', from, '--with-proof', '--whole');
  assert.equal(exported.exit, 0, exported.text);
  const proof = exported.text.replace(/^dovegate: .*\n/m, '');
  assert.match(proof, new RegExp(`^% ${touching.length * 2} records, \\d+ lines, 1 runs$`, 'm'));

  if (!hasPython || !hasOpenssl) {
    t.diagnostic('no python3 or no openssl here: the program of the page was not run');
    return;
  }
  const publicPem = readFileSync(join(daemon.path('audit'), 'key.pub'), 'utf8');
  const stranger = openStranger(t, proof, publicPem);
  const proved = await stranger.check();
  assert.deepEqual([proved.text, proved.exit], [`proved: ${touching.length * 2} records, 1 runs\n`, 0]);
  const own = await stranger.own();
  assert.deepEqual([own.exit, own.text.trimEnd().split('\n').at(-1)], [0, 'proved'], own.text);
  const byHand = await stranger.byHand();
  assert.equal(byHand.exit, 0, byHand.text);
  const signed = proof.split('\n').findLast((line) => line.startsWith('= ')) ?? '';
  assert.ok(byHand.text.includes(/"hash":"(\w+)"\}$/.exec(signed)?.[1] ?? 'none'), byHand.text);
  assert.match(byHand.text, /Signature Verified Successfully/);

  // The program of the page takes some 0.3 s, so a sample: every byte and line is tried in test/evidence/report/proof.test.ts.
  const lines = proof.trimEnd().split('\n');
  const first = lines.findIndex((line) => !line.startsWith('#'));
  const chosen = lines.findIndex((line) => line.startsWith('* '));
  const middle = Math.floor((first + lines.length) / 2);
  const change = (at: number, from_: RegExp, to: string): string[] =>
    lines.with(at, (lines[at] ?? '').replace(from_, to));
  const seal = lines.length - 2;
  const twice = (lines.at(-1) ?? '').replace(/\d+/g, (count) => String(Number(count) * 2));
  const mutants: readonly [string, readonly string[]][] = [
    ['a byte of a record', change(chosen, /"time":"2/, '"time":"3')],
    ['a byte of a line between', change(middle, /"time":"2/, '"time":"3')],
    ['a byte of the checkpoint', change(seal, /"time":"2/, '"time":"3')],
    ['a line left out', lines.toSpliced(middle, 1)],
    ['the checkpoint left out', lines.toSpliced(seal, 1)],
    ['the end left out', lines.slice(0, -1)],
    ['all of it twice', [...lines.slice(0, -1), ...lines.slice(first, -1), twice]],
  ];
  for (const [what, mutant] of mutants) {
    assert.ok(mutant.join('\n') !== lines.join('\n'), what);
    stranger.write(`${mutant.join('\n')}\n`);
    const ours = await stranger.own();
    assert.deepEqual([ours.exit, /\bNOT proved/.test(ours.text)], [1, true], `${what}: ${ours.text}`);
    const { exit, text: said } = await stranger.check();
    assert.deepEqual([exit, said.startsWith('NOT PROVED: ')], [1, true], `${what}: ${said}`);
  }
});
