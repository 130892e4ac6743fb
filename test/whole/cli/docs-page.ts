// Runs what a page of the documentation shows: writes its files, starts the daemon in front of scripted Dovecots, runs each command
// of a `console` block in bash, and compares what it prints. A page is read from top to bottom:
//
//   ```yaml FILE             writes FILE; without `version:` its keys replace those of the first example in README
//   ```yaml FILE alone       writes FILE as it stands
//   ```console               `$ command` lines, each with what it prints (stdout and stderr)
//   <!-- file: FILE ... -->  the same for a file that the page does not show
//   <!-- run: COMMAND -->    runs a command that the page does not show
//   <!-- wait: N records of EVENT -->    until the journal holds so many, of all runs
//   <!-- wait: a command of USER -->     until a backend has been sent one more
//   <!-- daemon -->          starts `dovegate serve` with /etc/dovegate/dovegate.yaml, and `dovegate page` where that has `admin.page`;
//                            `<!-- daemon: stop -->` ends them
//
// A plain `dovegate ...` or `doveadm ...` runs in a process that stays (warm-program.ts), also before a `|`; what needs a shell runs in
// bash.
//
// The places /etc/dovegate, /run/dovegate and /var/lib/dovegate are folders of the test, of names as long. Dates, durations and digests
// may differ. So may ids, but what has one id on the page has one id here: an id that a page shows may be used in its later commands.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { agentProgram } from '../../kit/gate/agent.js';
import { type Authority, type Issued, makeAuthority } from '../../kit/gate/certificates.js';
import { builtProgram, type Daemon, startDaemon, startPage } from '../../kit/gate/daemon.js';
import type { Script } from '../../kit/gate/script.js';
import { openScriptedDovecot, type ScriptedDovecot } from '../../kit/gate/scripted-dovecot.js';
import { runWarm, runWarmDoveadm } from '../../kit/gate/warm-program.js';
import { memoryPlace, type Owner, removeAfter } from '../../kit/plain/folder.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { me } from '../../kit/plain/me.js';
import { runProgram } from '../../kit/plain/program.js';
import { projectRoot } from '../../kit/plain/root.js';
import { readAudit } from '../../kit/plain/traces.js';
import { until } from '../../kit/plain/until.js';
import { firstExample, plainCommands, type Step, stepsOf } from './docs-steps.js';

const root = fileURLToPath(projectRoot);

const ids = /\b[0-9A-HJKMNP-TV-Z]{26}\b/g;

/** A text without what differs from run to run. */
function comparable(text: string): string {
  return (
    text
      // A busy machine stops a daemon for half a second.
      .replace(/^Nothing was served for .*\n {2}try: .*\n\n/m, '')
      .replaceAll(/\d{4}-\d\d-\d\d(?:T[\d:.]+Z?| \d\d:\d\d(?::\d\d)?(?:\.\d+)?(?: UTC)?)?/g, 'DATE')
      .replaceAll(/\b\d\d:\d\d:\d\d(?:\.\d+)?\b/g, 'TIME')
      .replaceAll(/\b\d+(?:\.\d+)? ?(?:ms|us|KiB|MiB|s|min)\b/g, 'AMOUNT')
      .replaceAll(/"time":\d+/g, '"time":0')
      .replaceAll(/\b[0-9a-f]{16,64}\b/g, 'DIGEST')
      .replaceAll(/\bsha256:[\w+/=-]+/g, 'DIGEST')
      .replaceAll(/scrypt\$[\w$+/=]+/g, 'HASH')
      .replaceAll(/\bdvg_\w+/g, 'KEY')
      .replaceAll(/(pid|uid|gid)("?[ :=]+)\d+/g, '$1$2N')
      .replaceAll(/(pid=N user=)\S+/g, '$1NAME')
      .replaceAll(/\b\d+(?:\.\d+)?(?=  [0-9A-HJKMNP-TV-Z]{26}\b)/g, 'N')
      .replaceAll(/^([0-9A-HJKMNP-TV-Z]{26} .*  )\d+\.\d$/gm, '$1N')
      .replaceAll(/[A-Za-z0-9+/]{40,}=/g, 'KEY')
      .replaceAll(/\(own\):\w+/g, '(own):GROUP')
      .replaceAll(/^( +peer +).*$/gm, '$1WHO')
      .replaceAll(/(_ms(?:=| +))[\d.]+/g, '$1N')
      .replaceAll(/(?<=,)\d+\.\d+(?=,)/g, 'N')
      .replaceAll(/ {2,}|─{2,}/g, '  ')
      .replaceAll(/ +$/gm, '')
      .trim()
  );
}

/** The day of the support desk, as the scripted Dovecots answer. */
const answer: Script = async ({ user, fields }, connection) => {
  const line = fields.join(' ');
  if (fields[0] === 'save') await connection.readInput();
  if (user.startsWith('nobody')) return connection.status('-NOUSER');
  if (user.startsWith('full')) {
    await connection.log('error', `lda(${user}): Quota exceeded (mailbox for user is full)`);
    return connection.status('-TEMPFAIL');
  }
  if (user.startsWith('slow')) return connection.closed;
  if (line.startsWith('quota get')) {
    await connection.row('User quota', 'STORAGE', '81920', '102400', '80');
    await connection.row('User quota', 'MESSAGE', '1204', '-', '0');
  }
  if (line.startsWith('mailbox list'))
    for (const box of ['INBOX', 'Sent', 'Trash']) await connection.row(box);
  if (line.startsWith('mailbox status')) await connection.row('INBOX', '1204');
  if (line.startsWith('user ')) await connection.body('{"userList":["alice@example.com","bob@example.com"]}');
  if (line.startsWith('who')) await connection.row('alice@example.com', '1', 'imap', '(4711)', '(192.0.2.7)');
  await connection.status('+');
};

const unixSocket = '/run/dovecot/dovegate-doveadm';

/** A whole configuration with the default of `audit.memory` in it, and small. */
function withMemory(text: string): string {
  if (!/^version:/m.test(text) || /\bmemory: /.test(text)) return text;
  const memory = 'memory: /run/dovegate/audit.ring, memory_size: 1MiB';
  if (/^audit: \{/m.test(text)) return text.replace(/^audit: \{/m, `audit: { ${memory},`);
  if (/^audit:$/m.test(text)) return text.replace(/^audit:$/m, `audit:\n  ${memory.replace(', ', '\n  ')}`);
  return `${text.trimEnd()}\naudit: { ${memory} }\n`;
}

const pageSettings = /^ {2}(?=page:)/m;

/** With the default of `admin.door` in it, which is a place of the test then. */
function withDoor(text: string): string {
  return /^ {2}door:/m.test(text) ? text : text.replace(pageSettings, '  door: /run/dovegate/door.sock\n  ');
}

interface Scene {
  /** Runs a step; of a shown command, what it printed, in the words of the page. */
  take(step: Step): Promise<string | undefined>;
}

/** Certificates that no page changes. */
const pairs = (() => {
  let made: { authority: Authority; server: Issued; client: Issued } | undefined;
  return () => {
    const authority = made?.authority ?? makeAuthority({ name: 'example authority' });
    const hosts = ['mail1.example.com', 'mail2.example.com', 'gate.example.com', 'localhost'];
    made ??= {
      authority,
      server: authority.issue({ names: hosts }),
      client: authority.issue({ names: ['backup.example.com'], client: true }),
    };
    return made;
  };
})();

/** A machine with the three folders of dovegate and the files that the pages name. */
function openScene(owner: Owner, pagePath: string): Scene {
  // Not in tmpdir(): as many characters as on the page, which the columns of a table are made for.
  const folders = {
    '/etc/dovegate': mkdtempSync('/tmp/e-'),
    '/run/dovegate': mkdtempSync('/tmp/r-'),
    '/var/lib/dovegate': mkdtempSync('/tmp/lib---'),
  };
  const etc = folders['/etc/dovegate'];
  // In memory, as /run is: elsewhere `check` has a warning.
  const memory = mkdtempSync(join(memoryPlace(), 'dovegate-'));
  removeAfter(owner, memory);
  const programs = join(etc, '.bin');
  mkdirSync(programs);
  // What was built may belong to somebody else, so it is not made executable here.
  const links = join(etc, '.links');
  mkdirSync(links);
  for (const [name, program] of [
    ['dovegate', builtProgram],
    ['doveadm', builtProgram],
    ['dovegate-mcp', agentProgram],
  ] as const) {
    symlinkSync(program, join(links, name));
    const script = `#!/bin/sh\nexec '${process.execPath}' '${join(links, name)}' "$@"\n`;
    writeFileSync(join(programs, name), script, { mode: 0o755 });
  }
  // As in a checkout.
  mkdirSync(join(etc, 'dist'));
  symlinkSync(builtProgram, join(etc, 'dist/main.js'));

  const { authority, server, client } = pairs();
  const given: Readonly<Record<string, string>> = {
    'ca.pem': authority.certificatePem,
    'clients.crt': authority.certificatePem,
    'logs-ca.pem': authority.certificatePem,
    'tls.crt': server.certificatePem,
    'tls.key': server.keyPem,
    'backup.crt': client.certificatePem,
    'backup.key': client.keyPem,
    'mail1.password': 'secret\n',
    'mail2.password': 'secret\n',
    'migrator.password': 'correct-horse-battery\n',
  };
  for (const [name, text] of Object.entries(given)) writeFileSync(join(etc, name), text, { mode: 0o600 });

  /** Words of the page -> words of this machine. */
  const words = new Map([
    ['/run/dovegate/audit.ring', join(memory, 'audit.ring')],
    ...Object.entries(folders),
  ]);
  const idsHere = new Map<string, string>();
  const here = (text: string): string =>
    [...words, ...idsHere].reduce((now, [page, actual]) => now.replaceAll(page, actual), text);
  const there = (text: string): string =>
    [...words]
      .toReversed()
      .reduce((now, [page, actual]) => now.replaceAll(actual, page), text)
      .replaceAll(new RegExp(`\\b${me}(@|, )`, 'g'), 'anna$1');
  let daemon: Daemon | undefined;
  let pageProcess: Daemon | undefined;
  let exit = 0;
  const backends: ScriptedDovecot[] = [];
  /** By user: commands that a page has waited for. */
  const awaited = new Map<string, number>();

  /** The addresses and names of the page, as they are on this machine. */
  const prepare = async (text: string): Promise<void> => {
    for (const [, address = ''] of text.matchAll(/\baddress: "?([\w.]+:\d+)"?/g)) {
      if (words.has(address)) continue;
      const tls = text.includes('tls: off') ? 'plain' : 'starttls';
      const dovecot = await openScriptedDovecot({ minor: 3, tls, certificate: server, script: answer });
      backends.push(dovecot);
      owner.after(() => dovecot.close());
      words.set(address, `127.0.0.1:${dovecot.port}`);
    }
    if (text.includes(unixSocket) && !words.has(unixSocket)) {
      const path = join(folders['/run/dovegate'], 'dovecot');
      const dovecot = await openScriptedDovecot({ minor: 3, unix: path, script: answer });
      backends.push(dovecot);
      owner.after(() => dovecot.close());
      words.set(unixSocket, path);
    }
    if (text.includes('0.0.0.0:24246') && !words.has('0.0.0.0:24246')) {
      const [port = 0] = await freePorts(1);
      words.set('gate.example.com:24246', `localhost:${port}`);
      words.set('0.0.0.0:24246', `127.0.0.1:${port}`);
      words.set('192.0.2.0/24', '127.0.0.0/8');
      const args = [builtProgram, 'hash-password', '--cost', '14'];
      const hash = execFileSync(process.execPath, args, {
        input: 'correct-horse-battery\n',
        encoding: 'utf8',
      });
      words.set('scrypt$32768$8$1$...', hash.trim());
    }
    if (needsDaemon(pagePath) && text.includes('0.0.0.0:8443') && !words.has('0.0.0.0:8443')) {
      const [port = 0] = await freePorts(1);
      words.set('gate.example.com:8443', `localhost:${port}`);
      words.set('0.0.0.0:8443', `127.0.0.1:${port}`);
      words.set('192.0.2.0/24', '127.0.0.0/8');
    }
  };
  const ofThisMachine = (text: string): string =>
    here(withMemory(needsDaemon(pagePath) ? withDoor(text) : text))
      .replaceAll(/\bgroup: [a-z-]+/g, `group: "${process.getgid?.()}"`)
      .replaceAll(/\bgroups: \[[a-z, -]+\]/g, `groups: ["${process.getgid?.()}"]`)
      .replaceAll(/\busers: \[anna\]/g, `users: [${me}]`);
  const place = (name: string): string => (name.startsWith('/') ? here(name) : join(etc, name));

  const env = {
    PATH: `${programs}:${process.env['PATH']}`,
    LC_ALL: 'C.UTF-8',
    TZ: 'UTC',
    DOVEADM_SOCKET: undefined,
    DOVEGATE_CONFIG: join(etc, 'dovegate.yaml'),
    DOVEGATE_CLIENT_CONFIG: undefined,
  };
  const runInBash = async (command: string, stdin?: Buffer): Promise<string> => {
    const script = `exec 2>&1; (exit ${exit})\n${here(command)}`;
    // With a socket as its input it would read the startup file of who runs the tests, as for a remote shell.
    const options = { cwd: etc, env, ...(stdin !== undefined && { stdin }) };
    const result = await runProgram('bash', ['--norc', '-c', script], options);
    exit = result.exit;
    return result.text.replaceAll('\r\n', '\n');
  };
  const run = async (command: string): Promise<string> => {
    const plain = plainCommands(here(command.replaceAll('\\\n', ' ')));
    if (plain !== undefined) {
      let printed = '';
      for (const { name, args, filter } of plain) {
        const warm = name === 'doveadm' ? runWarmDoveadm : runWarm;
        const { inOrder, stdout, stderr, exit: code } = await warm(args, { cwd: etc, env });
        exit = code;
        printed += filter === undefined ? inOrder : stderr + (await runInBash(filter, stdout));
      }
      return printed.replaceAll('\r\n', '\n');
    }
    return runInBash(command);
  };
  const waitFor = async (what: string): Promise<void> => {
    const [, count, event] = /^(\d+) records? of ([a-z-]+)$/.exec(what) ?? [];
    if (count !== undefined) {
      const journal = join(folders['/var/lib/dovegate'], 'audit');
      const recorded = (): number =>
        readAudit(journal).filter(({ record }) => record['event'] === event).length;
      return until(() => recorded() >= Number(count), what, 60_000);
    }
    const [, user] = /^a command of (\S+)$/.exec(what) ?? [];
    assert.ok(user !== undefined, `${pagePath}: nothing can be waited for as "${what}"`);
    const seen = (): number =>
      backends.flatMap(({ commands }) => commands.filter((command) => command.user === user)).length;
    await until(() => seen() > (awaited.get(user) ?? 0), what, 60_000);
    awaited.set(user, seen());
  };

  owner.after(async () => {
    await pageProcess?.stop();
    await daemon?.stop();
  });
  for (const folder of Object.values(folders)) removeAfter(owner, folder);
  return {
    async take(step) {
      if (step.kind === 'file') {
        await prepare(step.text);
        writeFileSync(place(step.name), ofThisMachine(step.text), { mode: 0o600 });
        return undefined;
      }
      if (step.kind === 'wait') {
        await waitFor(step.what);
        return undefined;
      }
      if (step.kind === 'daemon') {
        await pageProcess?.stop();
        await daemon?.stop();
        [daemon, pageProcess] = [undefined, undefined];
        if (!step.isStart) return undefined;
        const config = readFileSync(join(etc, 'dovegate.yaml'), 'utf8');
        const nobody = { after: () => undefined };
        daemon = await startDaemon(nobody, { folder: etc, config });
        if (pageSettings.test(config)) pageProcess = await startPage(nobody, daemon);
        return undefined;
      }
      const printed = there(await run(step.command));
      if (step.kind === 'hidden') return undefined;
      const shown = step.output.match(ids) ?? [];
      for (const [at, id] of (printed.match(ids) ?? []).entries()) {
        const written = shown[at];
        if (written !== undefined && written !== id && !idsHere.has(written)) idsHere.set(written, id);
      }
      return [...idsHere].reduce((now, [page, actual]) => now.replaceAll(actual, page), printed);
    },
  };
}

/** Pages that are made of the program, and tested where they are made. */
const generated = new Set(['docs/conformance.md', 'docs/messages.md', 'docs/settings.md']);

export const readPage = (path: string): string => readFileSync(join(root, path), 'utf8');

/** README and the pages of docs/ that people write. */
export const pages: readonly string[] = [
  'README.md',
  ...readdirSync(join(root, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`)
    .filter((path) => !generated.has(path)),
];

export const example = firstExample(readPage('README.md'));

export const needsDaemon = (path: string): boolean => /^<!-- daemon -->$/m.test(readPage(path));

/** Runs a page; what is printed must be what it shows. DOVEGATE_DOCS=write puts all that is printed into the page instead. */
export async function runPage(owner: Owner, path: string): Promise<void> {
  const page = readPage(path);
  const scene = openScene(owner, path);
  let written = page;
  let moved = 0;
  for (const step of stepsOf(page, example)) {
    const printed = await scene.take(step);
    if (printed === undefined || step.kind !== 'shown') continue;
    if (process.env['DOVEGATE_DOCS'] !== 'write') {
      // JSON of `send` ends as that of doveadm.
      if (!/ send .* --format json/.test(step.command))
        assert.match(printed, /^$|\n$/, `${path}: ${step.command}: a prompt stands behind the last line`);
      assert.equal(comparable(printed), comparable(step.output), `${path}: ${step.command}`);
      continue;
    }
    // Who the peer of a test is interests no reader.
    const [peer] = /^ +peer +.*$/m.exec(step.output) ?? [];
    const text = printed
      .trimEnd()
      .replaceAll(/ +$/gm, '')
      .replaceAll(/^ +peer +.*$/gm, (actual) => peer ?? actual);
    const now = text === '' ? '' : `${text}\n`;
    const at = step.at + moved;
    written = written.slice(0, at) + now + written.slice(at + step.output.length);
    moved += now.length - step.output.length;
  }
  if (written !== page) writeFileSync(join(root, path), written);
}
