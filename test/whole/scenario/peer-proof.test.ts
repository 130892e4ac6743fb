// Goal: a record names a program and a unit only where the peer could not choose the name. Phases: programs in mount namespaces of their
// own, started through another one, or removed; a control group in the tree of a container. What must not happen: the name of a program
// that another one gave itself; a program or unit that is the right one, and is doubted.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Daemon } from '../../kit/gate/daemon.js';
import { auditRecords, openGateway } from '../../kit/gate/gateway.js';
import { openFolder } from '../../kit/plain/folder.js';
import { onlyRoot } from '../../kit/plain/skipped.js';
import { until } from '../../kit/plain/until.js';

const asRoot = onlyRoot('makes mount namespaces and control groups');

/** Of every Debian. */
const perl = '/usr/bin/perl';
/** Another program, at whose path the peer puts its own. */
const victim = '/usr/bin/true';
/** One command over the socket that its argument names. `ready` and a line on stdin come first, so that it can be moved before. */
const client = `use IO::Socket::UNIX; $| = 1; print "ready\\n"; <STDIN>;
my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die $!;
print $s "VERSION\\tdoveadm-server\\t1\\t0\\n\\ta\\@example.org\\tquota get\\n";
while (<$s>) { exit 0 if /^[+-][A-Z]*$/ && $n++ }`;

interface Visitor {
  readonly child: ChildProcess;
  /** Lets it send its command, and waits for its end. */
  readonly go: () => Promise<void>;
}

/** Starts \`command\` by a shell, with the client and the socket as what follows; resolves when it is there. */
async function start(
  t: TestContext,
  daemon: Daemon,
  script: string,
  env: NodeJS.ProcessEnv = {},
): Promise<Visitor> {
  const child = spawn('/bin/sh', ['-ec', script, 'sh', '-e', client, daemon.path('support.sock')], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  t.after(() => void child.kill('SIGKILL'));
  const exited = once(child, 'exit');
  await Promise.race([once(child.stdout, 'data'), exited.then(() => assert.fail(`no start: ${script}`))]);
  return {
    child,
    async go() {
      child.stdin.end('\n');
      assert.deepEqual(await exited, [0, null], script);
    },
  };
}

async function peerOf(
  t: TestContext,
  script: string,
  env: NodeJS.ProcessEnv = {},
  before?: (pid: number) => void,
) {
  const { daemon } = await openGateway(t, {
    backend: { script: (_command, connection) => connection.status('+') },
  });
  const { child, go } = await start(t, daemon, script, env);
  before?.(child.pid ?? 0);
  await go();
  await daemon.stop();
  const peer = auditRecords(daemon).find(({ event }) => event === 'admission')?.['peer'];
  assert.ok(typeof peer === 'object' && peer !== null && 'pid' in peer && peer.pid === child.pid);
  const { exe, exe_unproven, unit, unit_unproven } = {
    exe: undefined,
    exe_unproven: undefined,
    unit: undefined,
    unit_unproven: undefined,
    ...peer,
  };
  return { program: { exe, exe_unproven }, unit: { unit, unit_unproven } };
}

const proven = (exe: string) => ({ exe, exe_unproven: undefined });
const unproven = (path: string) => ({ exe: undefined, exe_unproven: path });

test('a program in the namespace of the system', asRoot, async (t) => {
  assert.deepEqual((await peerOf(t, `exec ${perl} "$@"`)).program, proven(perl));
});

test('another program at the path of a known one, in a mount namespace of its own', asRoot, async (t) => {
  const other = join(openFolder(t), 'other');
  copyFileSync(perl, other);
  const script = `exec unshare -m sh -ec 'mount --bind "$OTHER" ${victim}; exec ${victim} "$@"' sh "$@"`;
  assert.deepEqual((await peerOf(t, script, { OTHER: other })).program, unproven(victim));
});

test(
  'the right program in a mount namespace of its own, where its libraries may be others',
  asRoot,
  async (t) => {
    assert.deepEqual((await peerOf(t, `exec unshare -m ${perl} "$@"`)).program, unproven(perl));
  },
);

test('a process of the namespace of the system that runs a file of another one', asRoot, async (t) => {
  const other = join(openFolder(t), 'other');
  copyFileSync(perl, other);
  const holder = spawn(
    'unshare',
    ['-m', 'sh', '-ec', `mount --bind "$OTHER" ${victim}; echo ready; exec cat`],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, OTHER: other },
    },
  );
  t.after(() => void holder.kill('SIGKILL'));
  await once(holder.stdout, 'data');
  const script = `exec /proc/${holder.pid}/root${victim} "$@"`;
  assert.deepEqual((await peerOf(t, script)).program, unproven(victim));
});

test('a program whose file was removed or replaced', asRoot, async (t) => {
  const file = join(openFolder(t), 'program');
  copyFileSync(perl, file);
  const { program } = await peerOf(t, `exec "$PROGRAM" "$@"`, { PROGRAM: file }, () => {
    rmSync(file);
    copyFileSync(perl, file);
  });
  assert.deepEqual(program, unproven(`${file} (deleted)`));
});

test('a control group that the owner of a container named after a unit of the system', asRoot, async (t) => {
  const root = groupRoot();
  const box = mkdtempSync(join(root, 'dovegate-box-'));
  const group = join(box, 'system.slice', 'dovecot.service');
  t.after(async () => {
    // The kernel lets an ended process go a moment later.
    await until(() => {
      try {
        for (const folder of [group, join(box, 'system.slice'), box]) rmdirSync(folder);
        return true;
      } catch {
        return false;
      }
    }, 'the control groups are removed');
  });
  mkdirSync(group, { recursive: true });
  const { unit } = await peerOf(t, `exec ${perl} "$@"`, {}, (pid) =>
    writeFileSync(join(group, 'cgroup.procs'), String(pid)),
  );
  assert.equal(unit.unit, undefined);
  assert.match(String(unit.unit_unproven), /\/dovegate-box-\w+\/system\.slice\/dovecot\.service$/);
});

/** Where control groups of the hierarchy that units are in can be made. */
function groupRoot(): string {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const found = mounts.find((line) => / - cgroup2 /.test(line));
  assert.ok(found !== undefined, 'cgroup2 is mounted');
  return found.split(' ')[4] ?? '';
}
