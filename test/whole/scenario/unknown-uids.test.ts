// Goal: uids without a known name cost nobody else anything. Phases: thousands of connects by as many unknown uids, while others send
// commands; a directory that is mute for one user and knows another; a gate that is killed. What must not happen: a
// question for each uid, a command that waits for the names of others, one principal for several uids, a helper process that is left.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { auditRecords, openGateway } from '../../kit/gate/gateway.js';
import { descriptorsOf, seesDescriptors } from '../../kit/plain/descriptors.js';
import { fakePrograms } from '../../kit/plain/names.js';
import { type Person, speakAs } from '../../kit/plain/person.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { onlyRoot } from '../../kit/plain/skipped.js';
import { until } from '../../kit/plain/until.js';

const asRoot = onlyRoot('can be somebody else');

const listeners = ['support', 'other']
  .map((name) => `\n  ${name}: { unix: ${name}.sock, mode: "0666", policy: support }`)
  .join('');
const quota = '|a@example.org|quota get';
const backend = {
  script: (_command: unknown, connection: { status(text: string): void }) => connection.status('+'),
};

/** No account of the machine has these numbers. */
const person = (uid: number): Person => ({ uid, gid: uid, groups: [] });

/** Connects as each of so many uids, one after the other, and closes at once. */
const crowd = `use IO::Socket::UNIX; my ($path, $first, $count) = @ARGV;
for my $uid ($first .. $first + $count - 1) { $> = $uid;
  IO::Socket::UNIX->new(Peer => $path) or redo; $> = 0 }`;

function connectAs(first: number, count: number, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile('/usr/bin/perl', ['-e', crowd, path, String(first), String(count)], (fault) =>
      fault === null ? resolve() : reject(fault),
    );
  });
}

test(
  '2,000 unknown uids at one listener: 20 questions a second, and nobody waits for them',
  asRoot,
  async (t) => {
    const programs = fakePrograms(t);
    const log = `${programs.path.split(':')[0]}/asked`;
    writeFileSync(log, '');
    programs.write('getent', `printf '%s\\n' "$PPID $3" >>${log}\nexit 2`);
    const { daemon } = await openGateway(t, { backend, listeners, env: { PATH: programs.path } });
    chmodSync(daemon.folder, 0o755);
    /** By which process, and for what. */
    const asked = () =>
      readFileSync(log, 'utf8')
        .trim()
        .split('\n')
        .map((line) => line.split(' '));
    const path = daemon.path('support.sock');
    const startMs = performance.now();
    await Promise.all([connectAs(20_000, 1_000, path), connectAs(1_000_000, 1_000, path)]);
    for (const name of ['support', 'other']) {
      const known = await openRawClient({ path: daemon.path(`${name}.sock`), minor: 2, owner: t });
      assert.equal((await known.ask({ user: 'a@example.org', fields: ['quota', 'get'] })).status, '+', name);
    }
    const atAnswer = asked().length;
    const seconds = (performance.now() - startMs) / 1000;
    t.diagnostic(`${atAnswer} questions in ${seconds} s, until both listeners answered`);
    assert.ok(atAnswer <= bounds.accountRate * (seconds + 1), `${atAnswer} questions in ${seconds} s`);
    const config = readFileSync(daemon.configFile, 'utf8');
    const peers = 'peers: { users: [root, nobody-here], groups: [no-group-here] }, policy';
    await daemon.reload(config.replaceAll(', policy', `, ${peers}`));
    assert.ok(asked().some(([, name]) => name === 'no-group-here'));
    const own = asked().filter(([parent]) => Number(parent) === daemon.pid);
    assert.deepEqual(own, [], 'the serving process starts none');
    assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
  },
);

test(
  'a mute directory costs a name, after 5 s, of that session alone; a user of the directory has one',
  asRoot,
  async (t) => {
    const programs = fakePrograms(t);
    programs.write(
      'getent',
      'case $3 in 64101) exec sleep 600 ;; 64102) echo "dora:x:64102:100::/:" ;; *) exit 2 ;; esac',
    );
    const { daemon } = await openGateway(t, { backend, listeners, env: { PATH: programs.path } });
    chmodSync(daemon.folder, 0o755);
    const path = daemon.path('support.sock');
    const mute = speakAs(person(64_101), path, [quota]);
    const served: number[] = [];
    void mute.then(() => served.push(64_101));
    const others = [64_102, 64_103, 64_102].map(async (uid) => {
      assert.deepEqual(await speakAs(person(uid), path, [quota]), ['+']);
      served.push(uid);
    });
    await Promise.all(others);
    assert.deepEqual(await mute, ['+']);
    assert.equal(served.at(-1), 64_101);
    await daemon.stop();
    const principals = auditRecords(daemon)
      .filter(({ event }) => event === 'admission')
      .map(({ principal }) => String(principal));
    assert.deepEqual(principals.toSorted(), [
      '64101@support',
      '64103@support',
      'dora@support',
      'dora@support',
    ]);
  },
);

test('a gate that is killed leaves no helper process', async (t) => {
  const { daemon } = await openGateway(t, { backend, listeners });
  const helpers = childrenOf(daemon.pid).filter(
    (pid) => commandOf(pid) === ['/bin/sh', 'names.sh', '5', ''].join('\0'),
  );
  assert.equal(helpers.length, 1);
  const [helper = 0] = helpers;
  if (seesDescriptors(t)) {
    const own = new Set(descriptorsOf(daemon.pid));
    const shared = descriptorsOf(helper).filter((each) => each.startsWith('socket:') && own.has(each));
    assert.deepEqual(shared, [], 'it holds no socket of the gate open');
  }
  await daemon.kill();
  await until(() => !existsSync(`/proc/${helper}`), 'the helper has ended');
});

function childrenOf(pid: number): readonly number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim().split(' ').map(Number),
  );
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
