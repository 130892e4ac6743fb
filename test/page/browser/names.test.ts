// Goal: what a peer can be called, in a real browser: the path of its program, the name in its certificate, its tag and reason, and names
// of the configuration that are also words of JavaScript. What must not happen: markup, a script, a character that reorders or hides its
// neighbours, a name that takes the room of other columns or draws over other rows, a copy that is not the value.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFileSync, linkSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Page } from 'playwright-core';
import { makeAuthority } from '../../kit/gate/certificates.js';
import { auditRecords } from '../../kit/gate/gateway.js';
import {
  browserTest,
  type ConfigurationParts,
  configurationOf,
  hostileElements,
  openPageDaemon,
  settled,
  shareDesk,
  visit,
} from '../../kit/gate/page-daemon.js';
import { findOverflow } from '../../kit/plain/browser.js';
import { openFolder } from '../../kit/plain/folder.js';
import { askRaw } from '../../kit/plain/raw-http.js';

/** A program of its own name: signs in at the socket, sends one command and reads its reply. */
const program = `
const socket = require('node:net').connect(process.argv[1]);
let text = '';
socket.write('VERSION\\tdoveadm-server\\t1\\t2\\n\\t' + process.argv[2] + '\\tquota get\\n');
socket.on('data', (bytes) => { text += bytes; if ((text.match(/^[+-]/gm) ?? []).length >= 2) socket.destroy(); });
socket.on('close', () => process.exit(0));`;

const accents = `z${'\u0301'.repeat(100)}`;
const spaced = ' two  blanks uid=0 user=root';
const paths: readonly string[] = [
  '<img src=x onerror=alert(1)>',
  '\u202Egnp.exe\u2066 \u05E9\u05DC\u05D5\u05DD bell\u0007\u001B[31m\nsecond line\r\tthird\u2028\u200B',
  Array.from({ length: 14 }, () => 'W'.repeat(255)).join('/'),
  spaced,
  accents,
];
/** The longest that a name of the configuration may be. */
const longest = 'W'.repeat(64);
const uri = 'spiffe:<img/src=x/onerror=alert(6)>';

function runOnce(command: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    child.once('error', reject);
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`exit ${code}`))));
  });
}

/** Names that every object of JavaScript has, names of certificates that are markup, and names as long as they may be. */
function namesOf(parts: ConfigurationParts, authority: string): string {
  const named = (name: string, more: string): string => `${name}: { ${more} }`;
  return configurationOf(parts)
    .replace(
      'key: tls.key }\n    accounts:',
      `key: tls.key, client_ca: "${authority}" }\n    accounts:
      ${named('hasOwnProperty', `certificate_name: "${uri}", policy: constructor`)}
      ${named(longest, `certificate_name: "<b>\u05E9\u202Ename", policy: constructor`)}`,
    )
    .replace(
      '  panel:\n',
      `  ${named('toString', `unix: web.sock, mode: "0600", protocol: http, policy: constructor`)}
  ${named(longest, `unix: long.sock, mode: "0600", policy: ${longest}`)}\n  panel:\n`,
    )
    .replace(
      '      modoboa:',
      `      ${named('valueOf', `hash: "sha256$${'1'.repeat(64)}", policy: ${longest}`)}
      ${named(longest, `hash: "sha256$${'2'.repeat(64)}", policy: ${longest}`)}\n      modoboa:`,
    )
    .replace('mail2:', 'constructor:')
    .replace('backend: mail2', 'backend: constructor')
    .replace(
      '  migration:\n',
      `  ${named('constructor', `users: ["**"], allow: [mailbox list]`)}
  ${named(longest, `users: ["*@example.org"], allow: [mailbox list]`)}\n  migration:\n`,
    );
}

const desk = shareDesk(async (owner) => {
  const folder = openFolder(owner);
  const clients = makeAuthority({ name: 'clients' });
  const authority = join(folder, 'clients.pem');
  writeFileSync(authority, clients.certificatePem);
  const page = await openPageDaemon(owner, { configuration: (parts) => namesOf(parts, authority) });
  const node = join(folder, 'node');
  copyFileSync(process.execPath, node);
  const args = (at: number) => ['-e', program, page.daemon.path('support.sock'), `exe${at}@example.org`];
  const running = paths.map((path, at) => {
    const file = join(folder, `${at}`, path);
    mkdirSync(dirname(file), { recursive: true });
    linkSync(node, file);
    return runOnce(file, args(at));
  });
  // No string of ours can name it, but a pattern of a shell does.
  linkSync(node, Buffer.concat([Buffer.from(join(folder, 'raw')), Buffer.from([0xff, 0xfe, 0xc3])]));
  running.push(runOnce('/bin/sh', ['-c', `exec ${folder}/raw* "$@"`, 'sh', ...args(paths.length)]));
  await Promise.all(running);
  const certificate = clients.issue({ names: [uri], client: true });
  const owned = await page.accountClient('hasOwnProperty', { certificate });
  await owned.ask({ user: 'cert@example.org', fields: ['mailbox list'] });
  for (const name of ['<img src=x onerror=alert(7)>', '\u202Emoc', 'x'.repeat(3000)])
    await assert.rejects(page.accountClient(name));
  const body = '[["mailboxList",{"user":"web@example.org"},"<img src=x onerror=alert(8)>"]]';
  const reason = '<x-made>\u202Etwo  blanks \u05E9\u05DC\u05D5\u05DD';
  const head = `POST /doveadm/v1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\nDovegate-Reason: ${reason}`;
  const { status } = await askRaw({ path: page.daemon.path('web.sock') }, `${head}\r\n\r\n${body}`);
  assert.equal(status, 200);
  return page;
});

/** What must not be on a screen, each as a sentence. */
async function findFaults(tab: Page): Promise<string[]> {
  const made = await tab.locator(hostileElements).count();
  const odd = await tab.evaluate<string[]>(`[...document.querySelectorAll('body *')]
    .flatMap((element) => [...element.childNodes].filter(({ nodeType }) => nodeType === 3).map(({ data }) => data)
      .concat([...element.attributes].map(({ value }) => value)))
    .filter((text) => /[\\0-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f]|\\p{M}{5}/u.test(text))
    .map((text) => 'not made visible: ' + JSON.stringify(text.slice(0, 100)))`);
  return [...(await findOverflow(tab)), ...odd, ...(made > 0 ? [`${made} elements that a name made`] : [])];
}

browserTest('programs, certificates, tags, reasons and configured names are text everywhere', async (t) => {
  const admitted = auditRecords(desk.daemon.daemon).filter(({ event }) => event === 'admission');
  const idOf = (user: string): string => String(admitted.find((record) => record['user'] === user)?.['id']);
  assert.equal(admitted.length, paths.length + 3);
  const watched = await desk.signIn(t, 'auditor');
  const { page: tab } = watched;
  const spacedPlace = `/trail/${idOf(`exe${paths.indexOf(spaced)}@example.org`)}`;
  // One page of the trail has all of them as peers.
  const places = [
    '/',
    '/access',
    '/trail?columns=time,principal,user,command,peer,reason,policy,listener',
    spacedPlace,
    `/trail/${idOf('web@example.org')}`,
  ];
  const found: string[] = [];
  for (const place of places) {
    await visit(tab, place);
    await tab.locator('main .name').first().waitFor();
    await settled(tab);
    const faults = [...watched.faults, ...(await findFaults(tab))];
    found.push(...faults.map((fault) => `${place}: ${fault}`));
    watched.forget(() => true);
    if (place === '/access') {
      // A long name takes no room from other columns: their sentences stay in one or two lines.
      const heights = await tab.evaluate<number[]>(
        `[...[...document.querySelectorAll('main table')].at(-1).querySelectorAll('tbody tr')].map((row) => row.offsetHeight)`,
      );
      assert.ok(Math.max(...heights) < 100, `a row of ${Math.max(...heights)} px`);
    }
    if (place === spacedPlace) {
      // What is marked and copied is the value.
      const copied = await tab.evaluate<string>(`(() => {
        const name = [...document.querySelectorAll('main .told .name')].find(({ textContent }) => textContent.includes('blanks'));
        getSelection().selectAllChildren(name);
        return getSelection().toString();
      })()`);
      assert.ok(copied.endsWith(`/${spaced}`), copied);
    }
  }
  assert.deepEqual(found, []);
});
