// Goal: the Debian package for the architecture that this machine does not have. Every compiled file in it is of that one. On amd64 the
// package for arm64 also runs, under the user-mode emulation of the distribution: the commands, then a daemon that serves, decides and
// records. What must not happen: foreign functions that do not work there (SO_PEERCRED, the mapped ring), a journal that amd64 does not
// verify.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readManifest } from '../../architecture/project.js';
import { runDovegate, startDaemon } from '../../kit/gate/daemon.js';
import { auditRecords } from '../../kit/gate/gateway.js';
import { cannedScript } from '../../kit/gate/script.js';
import { openScriptedDovecot } from '../../kit/gate/scripted-dovecot.js';
import { openFolder } from '../../kit/plain/folder.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { checked, checkedWith, pack } from './packing.js';

const { version } = readManifest();
const why = existsSync('/usr/bin/dpkg-deb') ? false : 'there is no dpkg-deb';
const other = process.arch === 'x64' ? 'arm64' : 'x64';
const emulator = '/usr/bin/qemu-aarch64-static';
/** The C and C++ libraries for arm64. */
const libraries = '/usr/aarch64-linux-gnu';
const whyNoEmulator = [emulator, join(libraries, 'lib/libstdc++.so.6')].every((path) => existsSync(path))
  ? false
  : 'there is no qemu-user-static, or no libstdc++6-arm64-cross';

/** Of an ELF file: x64 or arm64. */
function machineOf(path: string): string | undefined {
  return { 62: 'x64', 183: 'arm64' }[readFileSync(path).readUInt16LE(18)];
}

void test(`the Debian package for ${other}`, { skip: why, timeout: 600_000 }, async (t) => {
  const folder = openFolder(t);
  const deb = await pack(folder, 'deb', '--compression', '0', '--arch', other);
  const inside = join(folder, 'unpacked');
  await checked('dpkg-deb', '--raw-extract', deb, inside);

  await t.test('every compiled file is of it', async () => {
    const compiled = readdirSync(inside, { recursive: true, encoding: 'utf8' }).filter((path) => {
      const file = join(inside, path);
      return statSync(file).isFile() && readFileSync(file).subarray(0, 4).toString('latin1') === '\x7fELF';
    });
    assert.deepEqual(
      new Map(compiled.map((path) => [path.replace(/^.*dovegate\//, ''), machineOf(join(inside, path))])),
      new Map([
        [`node_modules/@koromix/koffi-linux-${other}/linux_${other}/koffi.node`, other],
        ['runtime/node', other],
      ]),
    );
    const field = await checked('dpkg-deb', '--field', deb, 'Architecture');
    assert.equal(field.trim(), other === 'x64' ? 'amd64' : other);
  });

  // On arm64 the tests of its own package run these programs.
  if (other !== 'arm64') return;
  await t.test('it runs under emulation', { skip: whyNoEmulator }, async (own) => {
    const node = join(inside, 'usr/lib/dovegate/runtime/node');
    const program = join(inside, 'usr/lib/dovegate/dist/main.js');
    const emulated = checkedWith({ env: { NODE_OPTIONS: '' } });
    const run = (...args: readonly string[]): Promise<string> =>
      emulated(emulator, '-L', libraries, node, program, ...args);
    const uid = process.getuid?.() ?? -1;
    const backend = await openScriptedDovecot({ unix: join(folder, 'backend.sock'), script: cannedScript() });
    own.after(() => backend.close());
    // While the daemon starts.
    const texts = Promise.all([run('--version'), run('serve', '--help')]);
    texts.catch(() => undefined);
    const started = performance.now();
    const daemon = await startDaemon(own, {
      launcher: [emulator, '-L', libraries],
      node,
      program,
      config: `
version: 1
listeners:
  team: { unix: team.sock, peers: { users: [${uid}] }, policy: reads }
  others: { unix: others.sock, peers: { users: [${uid + 1}] }, policy: reads }
backends: { mail1: { address: "${backend.address}", shared_namespaces: [] } }
routes: [{ users: ["*"], backend: mail1 }]
policies: { reads: { users: ["*@example.org"], allow: [quota get] } }
audit: { directory: audit, memory: shm/audit.ring, memory_size: 1MiB, reserve: 4KiB }
`,
    });
    own.diagnostic(`serves after ${Math.round(performance.now() - started)} ms`);
    assert.match(await run('check', '--config', daemon.configFile), /: no problems\n/);
    const user = 'alice@example.org';
    const statusOf = async (listener: string, command: string): Promise<string> => {
      const client = await openRawClient({ path: daemon.path(`${listener}.sock`), minor: 2 });
      own.after(() => client.close());
      return (await client.ask({ user, fields: [command] })).status;
    };
    assert.equal(await statusOf('team', 'quota get'), '+');
    assert.match(await statusOf('team', 'mailbox list'), /^-NOPERM/);
    // The kernel of amd64 names us to the program for arm64.
    assert.match(await statusOf('others', 'quota get'), /^-NOPERM/);
    assert.deepEqual(
      backend.commands.map(({ user: of, fields }) => [of, fields[0]]),
      [[user, 'quota get']],
    );
    const [told, help] = await texts;
    assert.equal(told, `${version}\n`);
    assert.match(help, /^Usage: dovegate serve /m);
    assert.deepEqual(await daemon.stop(), { code: 0, signal: null });
    const admissions = auditRecords(daemon).filter(({ event }) => event === 'admission');
    assert.deepEqual(
      admissions.map(({ decision, peer }) => [decision, Object(peer).uid, Object(peer).pid]),
      [
        ['allow', uid, process.pid],
        ['deny', uid, process.pid],
      ],
    );
    const verified = await runDovegate(['audit', 'verify', '--unsigned', daemon.path('audit')]);
    assert.equal(verified.exit, 0, verified.text);
  });
});
