// `npm run lab -- world`: a world for people who try the page. Two real Dovecots, some days of records, live traffic, and one after the
// other what happens to a mail system: an outage, a drain, reloads, a gate that is killed, refusals, access on request in every state. What
// happened, when, and its ids in the journal are in FOLDER/facts.json, as this file knows it and not as the page tells it; how to get in is
// in FOLDER/world.json. Then it goes on until it is ended.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { runDovegate, startDaemon, startPage } from '../../kit/gate/daemon.js';
import { askPageAt, signIn, watchNow } from '../../kit/gate/page-client.js';
import { diskPlace, type Owner } from '../../kit/plain/folder.js';
import { openRawClient, type RawClient } from '../../kit/plain/raw-client.js';
import { askRaw, authorizationOf, encodePost } from '../../kit/plain/raw-http.js';
import { until } from '../../kit/plain/until.js';
import { masterOf, serversOf, signal } from '../../whole/dovecot/server-processes.js';
import { domains, openPlace, type Person, pagePeople, passwordOf, userAt } from './world-place.js';

const { values } = parseArgs({
  options: {
    folder: { type: 'string' },
    /** Exchanges of the days before. */
    history: { type: 'string', default: '30000' },
    /** Seconds; what else lasts is half of it. */
    outage: { type: 'string', default: '40' },
    /** How long it goes on after the last happening; default: until it is ended. */
    minutes: { type: 'string' },
  },
});
const outageMs = Number(values.outage) * 1000;
const folder = values.folder ?? mkdtempSync(join(diskPlace(), 'dovegate-world-'));
mkdirSync(folder, { recursive: true });
const path = (name: string): string => join(folder, name);
const writeJson = (name: string, value: unknown): void =>
  writeFileSync(path(name), `${JSON.stringify(value, null, 1)}\n`, { mode: 0o600 });

const ends: (() => void | Promise<void>)[] = [];
const owner: Owner = { after: (run) => void ends.unshift(run) };
const over = new AbortController();
for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => over.abort());

async function main(): Promise<void> {
  const place = await openPlace(owner, folder, Number(values.history));
  const { mail1, mail2, config, port } = place;

  // The gate, and who uses it.
  let daemon = await startDaemon(owner, { folder, config, files: place.files });
  let page = await startPage(owner, daemon);
  const common = { minor: 2, timeoutMs: 120_000 };
  const overTls = { ...common, tls: 'starttls', ca: place.ca, serverName: 'localhost' } as const;
  const openAs = (user: string): Promise<RawClient> =>
    openRawClient({ ...overTls, port: place.deskPort, auth: { user, password: passwordOf(user) } });
  const openDesk = (): Promise<RawClient> => openRawClient({ ...common, path: path('helpdesk.sock') });
  const post = (text: string, user: string): Promise<{ status: number }> => {
    const body = JSON.stringify([['quotaGet', { user }, 'q']]);
    return askRaw({ port: place.panelPort }, encodePost({ authorization: authorizationOf.key(text), body }));
  };
  const isOver = (): boolean => over.signal.aborted;
  const work = async (open: () => Promise<RawClient>, commands: readonly string[][], domain: string) => {
    let client: RawClient | undefined;
    for (let at = 0; !isOver(); at += 1) {
      await pause(350 + 200 * Math.sin(performance.now() / 20_000 + (at % 7)));
      const fields = commands[at % commands.length] ?? [];
      client ??= await open().catch(() => undefined);
      const reply = await client?.ask({ user: userAt(domain, at * 5), fields }).catch(() => undefined);
      if (reply !== undefined) continue;
      // The gate is gone.
      client?.close();
      client = undefined;
    }
    client?.close();
  };
  const helpdesk = [
    ['quota get'],
    ['mailbox status', 'messages vsize', 'INBOX'],
    ['mailbox list'],
    ['fetch', 'uid flags', 'mailbox', 'INBOX', '1:5'],
  ];
  const migration = [['mailbox list'], ['mailbox status', 'vsize', 'INBOX']];
  const billed = [['quota get'], ['mailbox status', 'vsize', 'INBOX']];
  const workers = domains.flatMap((domain) => [
    work(() => openAs('anna'), helpdesk, domain),
    work(() => openAs('bert'), helpdesk, domain),
    work(() => openAs('billing'), billed, domain),
    work(() => openAs('migrator'), migration, domain),
    work(openDesk, helpdesk, domain),
    (async () => {
      for (let at = 0; !isOver(); at += 1) {
        await post(place.panelKey, userAt(domain, at)).catch(() => undefined);
        await pause(700);
      }
    })(),
  ]);
  owner.after(async () => {
    over.abort();
    await Promise.all(workers);
  });

  // What the journal has since the days before.
  type Found = Readonly<Record<string, unknown>>;
  const records = (): Found[] =>
    readFileSync(place.journal, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line): Found => JSON.parse(line));
  const recorded = async (wanted: Found, count = 1, since = ''): Promise<Found[]> => {
    const isIt = (record: Found): boolean =>
      String(record['time']) >= since &&
      Object.entries(wanted).every(([name, value]) => record[name] === value);
    const find = (): Found[] => records().filter(isIt);
    await until(() => find().length >= count, `${count} records ${JSON.stringify(wanted)}`);
    return find();
  };
  const ids = (found: readonly Found[]): unknown[] => found.map(({ id }) => id);

  const facts: Found[] = [{ name: 'history', from: new Date(place.startedMs), exchanges: values.history }];
  const happen = async (name: string, run: (from: string) => Promise<object>): Promise<void> => {
    if (isOver()) return;
    const from = new Date().toISOString();
    const more = await run(from);
    facts.push({ name, from, until: new Date().toISOString(), ...more });
    writeJson('facts.json', facts);
    console.log(`${from.slice(11, 19)} ${name}`);
    await pause(outageMs / 8);
  };
  const half = (): Promise<void> => pause(outageMs / 2);
  const tokens = new Map<string, string>();
  const onPage = async <T>(who: Person, target: string, body?: object, method = 'POST'): Promise<T> => {
    const token = tokens.get(who) ?? (await signIn(port, who, passwordOf(who)));
    tokens.set(who, token);
    const { status, body: text } = await askPageAt(port, method, target, { token, body });
    assert.equal(status, 200, `${who} ${target}: ${text}`);
    return JSON.parse(text);
  };
  /** As a requester, on a connection of its own; the answer, with the code of a refusal. */
  const ask = async (who: string, user: string, fields: readonly string[], reason?: string) => {
    const client = await openAs(who);
    try {
      if (reason !== undefined) client.send(`\t\tOPTION\tdovegate-reason=${reason}`);
      const { status, logs, body } = await client.ask({ user, fields });
      return { status, said: logs.map(({ text }) => text).join(' '), body: body.toString() };
    } finally {
      client.close();
    }
  };
  const request = async (who: string, user: string, reason: string, line: string[]): Promise<string> => {
    const wish = ['dovegate request', '-u', user, '--reason', reason, '--', ...line];
    const { status, said, body } = await ask(who, '', wish);
    const id = /"id":"(\w+)"/.exec(body)?.[1];
    assert.ok(status === '+' && id !== undefined, `${wish.join(' ')}: ${status} ${said}`);
    return id;
  };
  const use = async (who: string, user: string, line: readonly string[]): Promise<void> => {
    const { status, said } = await ask(who, user, line);
    assert.equal(status, '+', said);
  };
  const text = ['fetch', 'text', 'mailbox', 'INBOX', '1'];
  /** Asked for, given by a person for less, and used so often. */
  const grant = async (
    by: Person,
    given: object,
    times: number,
    who: string,
    user: string,
    reason: string,
  ) => {
    const id = await request(who, user, reason, text);
    await onPage(by, `/api/approvals/${id}/approve`, given);
    for (let count = 0; count < times; count += 1) await use(who, user, text);
    return { id, uses: ids(await recorded({ grant: id, event: 'admission' }, times)) };
  };

  const people = Object.entries(pagePeople).map(([name, rights]) => [
    name,
    { password: passwordOf(name), rights },
  ]);
  writeJson('world.json', {
    pid: process.pid,
    page: `http://127.0.0.1:${port}`,
    people: Object.fromEntries(people),
    accounts: `127.0.0.1:${place.deskPort}`,
    panel: { http: `127.0.0.1:${place.panelPort}`, key: place.panelKey },
    sockets: { helpdesk: path('helpdesk.sock'), admin: path('admin.sock') },
    configuration: path('dovegate.yaml'),
    journal: path('audit'),
    facts: path('facts.json'),
  });
  await half();
  await story();
  console.log(`${path('world.json')}: the page is http://127.0.0.1:${port}`);
  const left = values.minutes === undefined ? 2 ** 31 - 1 : Number(values.minutes) * 60_000;
  await pause(left, undefined, { signal: over.signal }).catch(() => undefined);

  async function story(): Promise<void> {
    await happen('outage of mail2', async (from) => {
      await mail2.stop();
      const downAt = new Date().toISOString();
      await pause(outageMs);
      await mail2.start();
      const [up] = await recorded({ event: 'backend', backend: 'mail2', action: 'up' }, 1, from);
      const [down] = await recorded({ event: 'backend', backend: 'mail2', action: 'down' }, 1, from);
      return { downAt, down, up };
    });
    await half();
    await happen('drain of mail1', async (from) => {
      await onPage('oncall', '/api/backend/mail1/drain', { reason: 'new kernel, change 1234' });
      await half();
      await onPage('oncall', '/api/backend/mail1/enable');
      return { records: await recorded({ event: 'operator', backend: 'mail1' }, 2, from) };
    });
    const reload = async (commands: string) => {
      const before = 'allow: [quota get, mailbox status]';
      daemon.write('dovegate.yaml', config.replace(before, `allow: [${commands}]`));
      const { exit, text: said } = await runDovegate(['reload', '--socket', path('admin.sock')]);
      if (exit !== 0) daemon.write('dovegate.yaml', config);
      return { commands, exit, said: said.slice(0, 400) };
    };
    await happen('reload that was refused: a command of billing is misspelt', () => reload('quota gt'));
    await happen('reload that counts: billing may list mailboxes', () =>
      reload('quota get, mailbox status, mailbox list'),
    );
    await half();
    await happen('workers of mail1 stopped, and the gate killed with commands open', async (from) => {
      const stopped = [masterOf(mail1), ...serversOf(mail1)];
      const wake = (): void => {
        for (const pid of stopped) signal(pid, 'SIGCONT');
      };
      owner.after(wake);
      for (const pid of stopped) signal(pid, 'SIGSTOP');
      await half();
      const killedAt = new Date().toISOString();
      await daemon.kill();
      daemon = await startDaemon(owner, { folder });
      const startedAt = new Date().toISOString();
      await pause(outageMs / 4);
      wake();
      const wokenAt = new Date().toISOString();
      const unknown = await recorded({ event: 'completion', outcome: 'unknown' }, 1, from);
      return { stopped: stopped.length, killedAt, startedAt, wokenAt, unknown: ids(unknown) };
    });
    await half();
    await happen('kill of a long command', async (from) => {
      const slow = await openAs('migrator');
      slow.setStopped(true);
      slow.sendCommand({ user: 'olga@example.com', fields: ['fetch', 'text', 'mailbox', 'Archive', 'all'] });
      const token = await signIn(port, 'oncall', passwordOf('oncall'));
      const watch = await watchNow(owner, port, token);
      const isLong = ({ command }: { readonly command: string }): boolean => command === 'fetch';
      const find = () => watch.now.running.find((each) => each.principal === 'migrator@desk' && isLong(each));
      await until(() => find() !== undefined, 'the long command');
      await half();
      const { id = '' } = find() ?? {};
      await onPage('oncall', `/api/kill/${id}`);
      watch.close();
      slow.setStopped(false);
      await slow.readReply({ keepBody: false }).catch(() => undefined);
      slow.close();
      const ended = await recorded({ event: 'completion', id }, 1, from);
      return { id, ended, by: 'page:oncall' };
    });
    await happen('25 denials in a burst', async (from) => {
      const client = await openAs('billing');
      for (let at = 0; at < 25; at += 1)
        await client.ask({ user: userAt('example.com', at), fields: ['mailbox delete', 'Archive'] });
      client.close();
      const wanted = { event: 'admission', principal: 'billing@desk', command: 'mailbox delete' };
      return { denied: 25, ids: ids(await recorded(wanted, 25, from)) };
    });
    const trash = ['expunge', 'mailbox', 'Trash', 'all'];
    const emptied = async (who: string, user: string, reason?: string) => {
      const from = new Date().toISOString();
      const said = await ask(who, user, trash, reason);
      const wanted = { event: 'completion', principal: `${who}@desk`, command: 'expunge', user };
      return { who, user, reason, ...said, ids: ids(await recorded(wanted, 1, from)) };
    };
    await happen('a denial for a missing reason', () => emptied('bert', 'hans@example.com'));
    await happen('more mails than a rule permits', () =>
      emptied('anna', 'olga@example.net', 'ticket 4705: full'),
    );
    await happen('a trash that was emptied', () => emptied('anna', 'emil@example.com', 'ticket 4700: full'));

    const expiring = await request('migrator', 'paul@example.net', 'wave 7', ['mailbox create', 'Imported']);
    const hours = 3_600_000;
    await happen('request, approval, two uses', () => {
      const given = { forMs: 4 * hours, uses: 3 };
      return grant('carol', given, 2, 'anna', 'klara@example.com', 'ticket 4711: lost invoice');
    });
    await happen('a request refused', async () => {
      const id = await request('bert', 'lena@example.net', 'ticket 4720: curious', text);
      await onPage('dora', `/api/approvals/${id}/refuse`, { reason: 'ask lena herself' });
      return { id };
    });
    await happen('access that is used up, and one command too many', async () => {
      const user = 'ida@example.com';
      const terms = { forMs: hours / 2, uses: 1 };
      const given = await grant('dora', terms, 1, 'bert', user, 'ticket 4725: bounce');
      return { ...given, tooMany: await ask('bert', user, text) };
    });
    await happen('access that was revoked', async () => {
      const terms = { forMs: hours, uses: 5 };
      const given = await grant('carol', terms, 1, 'bert', 'marta@example.net', 'ticket 4728: spam?');
      await onPage('dora', `/api/approvals/${given.id}/revoke`);
      return { ...given, revokedBy: 'dora' };
    });
    const breakGlass = async (who: string, user: string, reason: string, word: string) => {
      const line = ['search', 'mailbox', 'INBOX', 'subject', word];
      const id = await request(who, user, reason, line);
      await use(who, user, line);
      return { id, who, user, reason };
    };
    await happen('break-glass, used and reviewed', async () => {
      const given = await breakGlass('bert', 'nils@example.net', 'incident 88: phishing', 'invoice');
      await onPage('carol', `/api/approvals/${given.id}/review`);
      return { ...given, reviewedBy: 'carol' };
    });
    await happen('break-glass that nobody has reviewed', () =>
      breakGlass('anna', 'rosa@example.com', 'incident 89: phishing', 'order'),
    );
    await happen('a request that waits', async () => {
      const line = ['expunge', 'mailbox', 'INBOX', 'all'];
      return { id: await request('anna', 'hans@example.com', 'ticket 4731: wants all of it gone', line) };
    });
    await happen('a request that expired', async () => ({
      id: expiring,
      records: await recorded({ request: expiring, action: 'expired' }),
    }));
    await happen('a key that has expired is shown', async () => ({
      status: (await post(place.oldKey, 'emil@example.com')).status,
      expired: `oldpanel, on ${place.day(-2)}`,
      ends: `panel, on ${place.day(5)}`,
    }));
    await happen('restart of the page', async () => {
      await page.kill();
      page = await startPage(owner, daemon);
      tokens.clear();
      return {};
    });
  }
}

try {
  await main();
} catch (fault) {
  // What was ended in the middle of a happening is no fault.
  if (!over.signal.aborted) throw fault;
} finally {
  over.abort();
  for (const end of ends) await end();
}
process.exit();
