// Goal: the image of the Dockerfile does the main job as process 1 of a container with a read-only root and without any privilege.
// Phases: built from a local base; a real doveadm in front of it; health; orphans; stopped in order; started with a broken file; the page
// in a container beside it; the image for the other architecture. What must not happen: a shell, more than 150 MB, a write outside of the
// volumes, a signal that is not heard, a dead process that stays, root, a page that can read or write what is the daemon's.
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { test } from 'node:test';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { cannedScript, createGate } from '../../kit/gate/script.js';
import { openScriptedDovecot } from '../../kit/gate/scripted-dovecot.js';
import { openLab } from '../../kit/plain/dovecot-lab.js';
import { makeFolder, removeAfter } from '../../kit/plain/folder.js';
import { ends } from '../../kit/plain/program.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { readAudit } from '../../kit/plain/traces.js';
import { poll } from '../systemd/machine.js';
import { buildImage, type ContainerOptions, makeOtherRoot, startContainer } from './image.js';

const password = 'correct-horse-battery';
/** There to end the test, not to measure the machine. */
const limitMs = 120_000;
const journalGroup = 10004;
const configuration = `version: 1
listeners:
  support: { unix: /run/dovegate/support.sock, mode: "0600", policy: support }
backends:
  mail1:
    address: unix:/backend/backend.sock
    password_file: /etc/dovegate/mail1.password
    shared_namespaces: []
routes:
  - { users: ["*"], backend: mail1 }
policies:
  support: { users: ["*"], allow: [quota get] }
state: /var/lib/dovegate
audit: { directory: /var/lib/dovegate/audit, reserve: 4KiB }
admin: { unix: /run/dovegate/admin.sock }
`;

/** Size of the image's files, as it is unpacked, in bytes. */
const imageBytesMax = 150e6;

/** The regular files below a folder. */
const filesOf = (root: string): string[] =>
  readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((path) =>
    lstatSync(join(root, path)).isFile(),
  );

const bytesOf = (root: string): number =>
  filesOf(root).reduce((sum, path) => sum + lstatSync(join(root, path)).size, 0);

/** Programs and libraries for processors -> the number of their architecture (`e_machine` of elf.h). */
function machinesOf(root: string): Map<string, number> {
  const elves = filesOf(root).flatMap((path) => {
    const bytes = readFileSync(join(root, path));
    return bytes.toString('latin1', 1, 4) === 'ELF' ? [[path, bytes.readUInt16LE(18)] as const] : [];
  });
  return new Map(elves);
}

void test('the container', { timeout: 1_800_000 }, async (t) => {
  const image = await buildImage(t);
  if ('skip' in image) return t.skip(image.skip);
  const folder = makeFolder();
  const etc = join(folder, 'etc');
  const backendFolder = join(folder, 'backend');
  for (const path of [etc, backendFolder]) mkdirSync(path);
  chmodSync(folder, 0o755);
  writeFileSync(join(etc, 'dovegate.yaml'), configuration);
  // As a Secret of Kubernetes with defaultMode 0440, for a group of the container.
  writeFileSync(join(etc, 'mail1.password'), password, { mode: 0o440 });
  chownSync(join(etc, 'mail1.password'), 0, Number(image.config.User.split(':')[1]));
  const gate = createGate();
  const backend = await openScriptedDovecot({
    unix: join(backendFolder, 'backend.sock'),
    authenticate: true,
    password,
    script: async (command, connection) => {
      if (command.user === 'slow') await gate.opened;
      await cannedScript()(command, connection);
    },
  });
  chmodSync(join(backendFolder, 'backend.sock'), 0o666);
  const binds = { [etc]: '/etc/dovegate', [backendFolder]: '/backend' };
  const container = startContainer(image, { name: `dovegate-${process.pid}`, folder, binds });
  t.after(() => backend.close());
  removeAfter(t, folder);
  const [, ...healthcheck] = image.config.Healthcheck.Test;
  const socket = container.volume('/run/dovegate/support.sock');
  const client = () => openRawClient({ path: socket, minor: 2 });
  /** What a script for Node prints inside. */
  const printed = async (script: string): Promise<string> =>
    (await container.exec('node', '-e', `const fs = require('node:fs'); ${script}`)).text;

  /** A daemon with a door, and beside it another program of the image, as a user of its own who reads the journal. */
  const startBeside = (program: 'page' | 'ship', own: number, more: Partial<ContainerOptions>) => {
    const door = join(folder, `${program}-door`);
    const inside = { page: '/run/dovegate-door/door.sock', ship: '/run/dovegate-ship/ship.sock' }[program];
    mkdirSync(door);
    const [uid = 0, gid = 0] = image.config.User.split(':').map(Number);
    chownSync(door, uid, gid);
    const daemon = startContainer(image, {
      name: `dovegate-${process.pid}-for-${program}`,
      folder,
      binds,
      volumes: { [dirname(inside)]: door },
      groups: [own, journalGroup],
    });
    const other = startContainer(image, {
      name: `dovegate-${process.pid}-${program}`,
      folder: join(folder, program),
      user: `${own}:${own}`,
      groups: [journalGroup],
      command: [program, '--door', inside],
      ...more,
      binds: {
        [container.volume('/var/lib/dovegate/audit')]: '/var/lib/dovegate/audit',
        [door]: dirname(inside),
        ...more.binds,
      },
    });
    return {
      other,
      both: (): string => `${daemon.output()}\n${other.output()}`,
      end: async (): Promise<void> => {
        for (const each of [other, daemon]) {
          await each.signal('TERM');
          assert.equal(await each.exited, 0, each.output());
        }
      },
    };
  };

  // Nothing can be run inside before.
  await poll(container.output, limitMs, async () => existsSync(socket) || undefined);

  await t.test('it is small, and its only programs are dovegate and Node', async () => {
    const bytes = bytesOf(image.root);
    t.diagnostic(`the image has ${(bytes / 1e6).toFixed(1)} MB`);
    assert.ok(bytes <= imageBytesMax, `${bytes}`);
    const machines = machinesOf(image.root);
    assert.equal(new Set(machines.values()).size, 1);
    const libraries = /^(usr\/)?lib(64)?\/([^/]+-linux-gnu\/)?(lib|ld-)[^/]+\.so[.\d]*$/;
    const programs = [...machines.keys()].filter((path) => !libraries.test(path));
    assert.deepEqual(
      programs.map((path) => basename(path)).toSorted(),
      ['koffi.node', 'node'],
      programs.join(),
    );
    assert.deepEqual(readdirSync(join(image.root, 'usr/bin')), ['dovegate', 'node']);
    const packages = readdirSync(join(image.root, 'var/lib/dpkg/status.d'));
    assert.deepEqual(packages.toSorted(), ['libc6', 'libgcc-s1', 'libstdc++6']);
    assert.match(readFileSync(join(image.root, 'etc/ssl/certs/ca-certificates.crt'), 'utf8'), /BEGIN CERT/);
    assert.notEqual((await container.exec('sh', '-c', ':')).exit, 0);
    await ends(0, container.exec('dovegate', '--version'));
  });

  await t.test('a real doveadm: allowed, denied, recorded', async (own) => {
    const lab = await openLab(own, 'native', { users: false });
    if ('skip' in lab) return own.skip(lab.skip);
    const ask = (...words: readonly string[]) =>
      lab.doveadm([...words, '-S', socket, '-u', 'alice@example.org']);
    const allowed = await ends(0, ask('quota', 'get'));
    assert.match(allowed.text, /STORAGE/);
    assert.notEqual((await ask('mailbox', 'list')).exit, 0);
    // What is refused is not waited for.
    const directory = container.volume('/var/lib/dovegate/audit');
    const decisions = () =>
      readAudit(directory)
        .map(({ record }) => record['decision'])
        .filter((decision) => typeof decision === 'string')
        .join();
    await poll(decisions, limitMs, async () => decisions() === 'allow,deny' || undefined);
  });

  await t.test('as nobody in particular, in a root that cannot be written', async () => {
    assert.deepEqual(Object.keys(image.config.Volumes).toSorted(), ['/run/dovegate', '/var/lib/dovegate']);
    const status = await printed("console.log(fs.readFileSync('/proc/1/status', 'utf8'))");
    assert.match(status, /^Uid:(\t10001){4}$/m);
    assert.match(status, /^CapEff:\t0{16}$/m);
    assert.match(await printed("fs.writeFileSync('/usr/lib/dovegate/x', '')"), /EROFS/);
    const check = ['check', '--config', '/etc/dovegate/dovegate.yaml'];
    assert.match(
      (await container.exec('dovegate', ...check)).text,
      /no problems\n|: \/run\/dovegate is on a disk[^]*: 0 errors, 1 warning\n$/,
    );
  });

  await t.test('it is healthy, and what was left to it is gone from the process table', async () => {
    assert.deepEqual(
      [image.config.Healthcheck.Test[0], (await container.exec(...healthcheck)).exit],
      ['CMD', 0],
    );
    // A program that ends before its child: the child is process 1's then.
    const [, pid] =
      /^(\d+)$/m.exec(
        await printed(`const child = require('node:child_process').spawn(process.execPath, ['-e', 'setTimeout(() => {}, 200)'],
        { detached: true, stdio: 'ignore' });
        child.unref();
        console.log(child.pid)`),
      ) ?? [];
    // One program that looks again and again: each start of one takes longer than a look.
    const look = `const look = () => fs.existsSync('/proc/${pid}') ? setTimeout(look, 50) : console.log('gone'); look();`;
    assert.ok(pid !== undefined);
    assert.equal(await printed(look), 'gone\n');
  });

  await t.test('SIGTERM: what runs is finished, and the end is an orderly one', async () => {
    const slow = await client();
    slow.sendCommand({ user: 'slow', fields: ['quota', 'get'] });
    await backend.waitFor(({ commands }) => commands.some(({ user }) => user === 'slow'), 'the slow command');
    await container.signal('TERM');
    await poll(container.output, limitMs, async () => container.output().includes('"stopping"') || undefined);
    gate.open();
    assert.equal((await slow.readReply()).status, '+');
    assert.equal(await container.exited, 0, container.output());
    assert.ok(!existsSync(socket));
    assert.notEqual((await container.exec(...healthcheck)).exit, 0);
  });

  await t.test('a broken file: what was served before is served; else exit code 78', async () => {
    writeFileSync(join(etc, 'dovegate.yaml'), configuration.replace('policy: support', 'policy: suport'));
    const wrong = /dovegate\.yaml:3:\d+: .*did you mean support\?/;
    const start = (name: string, ...more: readonly string[]) =>
      startContainer(image, {
        name: `dovegate-${process.pid}-${name}`,
        folder,
        binds,
        command: [...image.config.Cmd, ...more],
      });
    const kept = start('kept');
    await poll(kept.output, limitMs, async () => kept.output().includes('"last-served"') || undefined);
    assert.match(kept.output(), wrong);
    await poll(kept.output, limitMs, async () => kept.output().includes('"started"') || undefined);
    await kept.signal('TERM');
    assert.equal(await kept.exited, 0, kept.output());
    const broken = start('broken', '--no-last');
    assert.equal(await broken.exited, 78);
    assert.match(broken.output(), wrong);
  });

  await t.test('the page in a second container: the door and the journal alone', async () => {
    writeFileSync(
      join(etc, 'dovegate.yaml'),
      configuration.replace('audit: {', 'audit: { group: dovegate-journal,').replace(
        /^admin: .*$/m,
        `admin:
  unix: /run/dovegate/admin.sock
  door: /run/dovegate-door/door.sock
  page:
    tcp: 127.0.0.1:9147
    unix: /run/dovegate-page/page.sock
    people: { try: { user: dovegate-page, roles: [operate, audit] } }`,
      ),
    );
    const { other: page, both, end } = startBeside('page', 10002, { memory: ['/run/dovegate-page'] });
    const opened = ['page', 'open', '--socket', '/run/dovegate-page/page.sock'];
    await poll(both, limitMs, async () => page.output().includes('"page-opened"') || undefined);
    const link = await poll(both, limitMs, async () => {
      const { exit, text } = await page.exec('dovegate', ...opened);
      return exit === 0 ? text : undefined;
    });
    assert.match(link, /^http:\/\/127\.0\.0\.1:9147\/#/m);
    const index = `fetch('http://127.0.0.1:9147/').then(async (r) => console.log(r.status, (await r.text()).length > 500))`;
    assert.equal((await page.exec('node', '-e', index)).text, '200 true\n');
    const trail = ['audit', 'search', '--socket', '/run/dovegate-page/page.sock'];
    assert.match((await page.exec('dovegate', ...trail)).text, /alice@example\.org +quota get/);
    // What is the daemon's: not there, or closed.
    const tries = `const fs = require('node:fs');
        const attempt = (use) => { try { return use(); } catch (fault) { return fault.code; } };
        console.log(['/etc/dovegate', '/backend', '/run/dovegate'].flatMap((path) => attempt(() => fs.readdirSync(path))).join());
        console.log(attempt(() => fs.readFileSync('/var/lib/dovegate/audit/hmac.key')));
        for (const path of ['/var/lib/dovegate/audit/x', '/run/dovegate-door/x']) console.log(attempt(() => fs.writeFileSync(path, '')));`;
    // The last two places are of other containers: a mount point that is empty, or nothing.
    assert.match(
      (await page.exec('node', '-e', tries)).text,
      /^(ENOENT)?,?\nEACCES\n(?:EROFS|EACCES)\nEROFS\n$/,
    );
    await end();
  });

  await t.test('what sends records in another container: its door, files, the journal', async () => {
    const authority = makeAuthority({ name: 'receivers' });
    const { certificatePem, keyPem } = authority.issue({ names: ['localhost'] });
    const own = 10003;
    const [kept, files] = [join(folder, 'ship-state'), join(folder, 'ship-files')];
    for (const path of [kept, files]) mkdirSync(path);
    writeFileSync(join(files, 'ca.pem'), authority.certificatePem);
    writeFileSync(join(files, 'receiver.pem'), certificatePem);
    writeFileSync(join(files, 'receiver.key'), keyPem, { mode: 0o600 });
    chownSync(join(files, 'receiver.key'), own, own);
    chownSync(kept, own, own);
    writeFileSync(
      join(etc, 'dovegate.yaml'),
      configuration.replace(
        'reserve: 4KiB',
        `reserve: 4KiB, group: dovegate-journal, door: /run/dovegate-ship/ship.sock, ship: [{ syslog: "127.0.0.1:6514", server_name: localhost, ca: /etc/dovegate/ship/ca.pem }]`,
      ),
    );
    const {
      other: ship,
      both,
      end,
    } = startBeside('ship', own, {
      binds: { [files]: '/etc/dovegate/ship' },
      volumes: { '/var/lib/dovegate-ship': kept },
    });
    // The receiver is inside, since a container has a network of its own here.
    const receive = `const fs = require('node:fs');
        const of = (name) => fs.readFileSync('/etc/dovegate/ship/' + name);
        require('node:tls').createServer({ cert: of('receiver.pem'), key: of('receiver.key') }, (socket) => {
          let text = '';
          socket.on('data', (chunk) => {
            text += chunk;
            if (!text.includes('alice@example.org')) return;
            console.log('received');
            process.exit();
          });
        }).listen(6514);
        setTimeout(() => process.exit(1), 20_000);`;
    const received = await poll(both, limitMs, async () => {
      const { exit, text } = await ship.exec('node', '-e', receive);
      return exit === 0 ? text : undefined;
    });
    assert.equal(received, 'received\n');
    const tries = `const fs = require('node:fs');
        const attempt = (use) => { try { return use(); } catch (fault) { return fault.code; } };
        console.log(['/etc/dovegate/dovegate.yaml', '/etc/dovegate/mail1.password', '/var/lib/dovegate/audit/hmac.key']
          .map((path) => attempt(() => fs.readFileSync(path))).join());
        for (const path of ['/var/lib/dovegate/audit/x', '/run/dovegate-ship/x', '/var/lib/dovegate-ship/x']) console.log(attempt(() => fs.writeFileSync(path, '')));`;
    assert.match(
      (await ship.exec('node', '-e', tries)).text,
      /^ENOENT,ENOENT,EACCES\n(?:EROFS|EACCES)\nEROFS\nundefined\n$/,
    );
    await end();
  });

  await t.test('the image for the other architecture: all of it is for that one', async () => {
    const { root, architecture } = await makeOtherRoot(join(folder, 'other'));
    const bytes = bytesOf(root);
    t.diagnostic(`the image for ${architecture} has ${(bytes / 1e6).toFixed(1)} MB`);
    assert.ok(bytes <= imageBytesMax, `${bytes}`);
    const [machines, own] = [machinesOf(root), machinesOf(image.root)];
    assert.equal(machines.size, own.size);
    const wanted = { arm64: 183, amd64: 62 }[architecture];
    assert.deepEqual([...new Set(machines.values())], [wanted]);
    assert.ok([...own.values()].every((machine) => machine !== wanted));
  });
});
