// Goal: a bulk run over many users of a real Dovecot, killed twice and gone on with. DOVEGATE_ROUNDS=200: 10,000 users.
// What must not happen, as the journal proves it: a user with two commands; a user without any who is not among the unknown; and, as
// Dovecot shows it, a user who is `ok` without the mailbox.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { builtProgram } from '../../kit/gate/daemon.js';
import { until } from '../../kit/plain/until.js';
import { onDovecot, openRealDovecot, openRealGateway } from './real-gateway.js';

const count = 50 * Number(process.env['DOVEGATE_ROUNDS'] ?? 1);
const users = Array.from({ length: count }, (_, at) => `bulk${at}@example.org`);

interface Line {
  readonly user: string;
  readonly result: string;
  readonly tag: string;
}

onDovecot(`${count} users, killed twice`, openRealDovecot, async (t, lab) => {
  await lab.addUsers(users.map((user) => `${user}:{plain}pw::::::`));
  const gateway = await openRealGateway(t, lab, { allow: ['mailbox create'], way: 'unix', idle: 4 });
  const list = gateway.daemon.path('users');
  const state = gateway.daemon.path('run.state');
  writeFileSync(list, users.map((user) => `${user}\n`).join(''));
  const socket = gateway.daemon.path('support.sock');
  const options = ['--users', list, '--jobs', '4', '--resume', state, '--format', 'json'];
  const words = ['send', '--socket', socket, ...options, '--', 'mailbox', 'create', 'Bulk'];
  const begin = (): { child: ChildProcess; said: { out: string; err: string } } => {
    const child = spawn(process.execPath, [builtProgram, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
    const said = { out: '', err: '' };
    child.stdout.on('data', (chunk: Buffer) => {
      said.out += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      said.err += chunk.toString();
    });
    return { child, said };
  };
  const lines: Line[] = [];
  const take = (text: string): void => {
    for (const line of text.split('\n')) if (line.endsWith('}')) lines.push(JSON.parse(line));
  };
  const startMs = performance.now();
  let memoryKiB = 0;
  for (const share of [0.3, 0.7, 1]) {
    const { child, said } = begin();
    const closed = once(child, 'close');
    if (share < 1) {
      // A begin has some 30 bytes, an end 6.
      const bytes = share * count * 30;
      const isThere = (): boolean => existsSync(state) && statSync(state).size > bytes;
      await until(isThere, `${share} of the users`, 600_000);
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
      memoryKiB = Math.max(memoryKiB, Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]));
      child.kill('SIGKILL');
    }
    await closed;
    take(said.out);
    if (share === 1) assert.ok(child.exitCode === 0 || child.exitCode === 1, said.err);
  }
  const seconds = (performance.now() - startMs) / 1000;

  const results = new Map(lines.map((line) => [line.user, line]));
  assert.deepEqual(
    users.filter((user) => !results.has(user)),
    [],
    'a result for each',
  );
  assert.deepEqual(
    lines.filter(({ result }) => result === 'failed'),
    [],
  );
  const unknown = lines.filter(({ result }) => result === 'unknown');
  assert.ok(unknown.length <= 8, `${unknown.length} unknown of two times four workers`);

  // As Dovecot has it, a few of many.
  const few = users.filter((_, at) => at % Math.ceil(count / 20) === 0);
  for (const user of few) {
    if (results.get(user)?.result !== 'ok') continue;
    const { stdout } = await lab.doveadm(['mailbox', 'list', '-u', user, 'Bulk']);
    assert.equal(stdout.toString(), 'Bulk\n', user);
  }

  const records = await gateway.finish();
  const admissions = records.filter(
    ({ event, command }) => event === 'admission' && command === 'mailbox create',
  );
  const sent = admissions.map(({ user }) => String(user));
  assert.equal(new Set(sent).size, sent.length, 'nobody twice');
  const reached = new Set(sent);
  const missing = users.filter((user) => !reached.has(user));
  const lost = new Set(unknown.map(({ user }) => user));
  assert.deepEqual(
    missing.filter((user) => !lost.has(user)),
    [],
    'nobody missing but the unknown',
  );
  const tags = new Set(admissions.map(({ tag }) => tag));
  for (const { user, tag } of unknown) assert.equal(tags.has(tag), reached.has(user), user);
  const completions = new Map(
    records.filter(({ event }) => event === 'completion').map(({ id, outcome }) => [id, outcome]),
  );
  const notOk = admissions.filter(({ id, user }) => completions.get(id) !== 'ok' && !lost.has(String(user)));
  assert.deepEqual(notOk, []);
  const kib = Math.round(statSync(state).size / 1024);
  t.diagnostic(
    `${count} users in ${seconds.toFixed(1)} s: ${sent.length} sent, ${unknown.length} unknown, ${missing.length} of them not sent; state ${kib} KiB, memory ${Math.round(memoryKiB / 1024)} MiB`,
  );
});
