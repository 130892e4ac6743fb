// Goal: the rows that we make of a reply are those that a real server makes of it over HTTP, byte for byte: keys, numbers, escapes. And the
// names and types of parameters that a server lists are those of the catalog.
// What must not happen: a column under another name, a number that is a string, a command that is not in the list.
import assert from 'node:assert/strict';
import { commandNamed, commandsOf, listOfText } from '../../../src/doveadm/commands/catalog.js';
import { jsonName } from '../../../src/doveadm/commands/named.js';
import { openLab } from '../../kit/plain/dovecot-lab.js';
import { jsonFormOf } from '../../kit/plain/json-form.js';
import { askOverHttp, encodedAs, replyOf } from './http-and-wire.js';
import { alice, onDovecot } from './real-gateway.js';

interface Asked {
  readonly user: string;
  readonly words: readonly string[];
  /** Values are of the moment: only keys and types are compared. */
  readonly isMoving?: true;
  readonly isOf24?: true;
}

function mail(...words: readonly string[]): Asked {
  return { user: alice, words };
}

function server(...words: readonly string[]): Asked {
  return { user: '', words };
}

function moving(...words: readonly string[]): Asked {
  return { user: '', words, isMoving: true };
}

const asked: readonly Asked[] = [
  // So that there is one.
  mail('mailbox metadata set', 'INBOX', '/private/comment', 'a\ttab "quoted" \\ \u2028 \u0001'),
  mail('quota get'),
  mail('mailbox list'),
  mail('mailbox list', '-7'),
  mail('mailbox list', 'Nope'),
  // The wire of 2.3 has no all users.
  { ...mail('mailbox list', '-A'), isOf24: true },
  { ...mail('mailbox status', '-A', 'messages', 'INBOX'), isOf24: true },
  mail('mailbox status', 'all', '*'),
  mail('mailbox status', '-t', 'all', '*'),
  mail('mailbox status', 'vsize messages', 'INBOX', 'Archive'),
  mail('mailbox path', 'INBOX'),
  mail('mailbox path', '-t', 'index', 'INBOX'),
  mail('mailbox metadata list', 'INBOX', '/private'),
  mail('mailbox metadata get', 'INBOX', '/private/comment'),
  mail('mailbox cache decision', '-a', 'INBOX'),
  mail('mailbox cryptokey list', '-U'),
  mail('acl get', 'INBOX'),
  mail('acl rights', 'INBOX'),
  mail('acl debug', 'INBOX'),
  mail('search', 'mailbox', 'INBOX', 'all'),
  ...'uid flags size.physical hdr.subject date.received mailbox guid user|text|body hdr|text.utf8 uid'
    .split('|')
    .map((fields) => mail('fetch', fields, 'mailbox', 'INBOX', 'all')),
  mail('fetch', 'imap.envelope imap.bodystructure', 'mailbox', 'INBOX', 'all'),
  mail('mailbox mutf7', 'Ünïcode'),
  mail('fts tokenize', 'a', 'b'),
  mail('sieve list'),
  mail('sieve get', 'main'),
  mail('force-resync', 'INBOX'),
  mail('mailbox subscribe', 'Archive'),
  mail('purge'),
  mail('mailbox list', 'shared/*'),
  { user: 'nobody@example.org', words: ['mailbox list'] },
  server('user', alice),
  server('user', '*'),
  server('user', '-f', 'home', alice),
  server('user', 'nobody@example.org'),
  server('kick', 'nobody@example.org'),
  server('proxy kick', 'nobody@example.org'),
  server('penalty'),
  server('instance list'),
  server('who'),
  server('who', '-1'),
  { ...server('proxy list'), isOf24: true },
  server('log errors', '-s', '4000000000'),
  server('indexer list'),
  server('log find', '/nonexistent'),
  server('replicator status'),
  moving('process status'),
  moving('service status'),
  moving('service status', 'auth'),
  moving('stats dump', 'count sum', '-s', ''),
  moving('stats dump'),
  moving('stats dump', '-f', 'count sum avg'),
  moving('log errors'),
];

onDovecot('rows over HTTP', openLab, async (t, lab) => {
  const whole: string[] = [];
  const failed: string[] = [];
  for (const one of asked) {
    const { user, words } = one;
    const name = words.join(' ');
    const form = jsonFormOf(lab.series, user, words);
    // Not every series has each of them.
    if (form === undefined || (one.isOf24 === true && lab.series === '2.3')) continue;
    await t.test(name, async () => {
      const parameters = Object.fromEntries(
        form.parameters.map(({ name: key, value }) => [key, plain(value)]),
      );
      const fromHttp = await askOverHttp(lab, 'POST', JSON.stringify([[form.name, parameters, 't']]));
      const text = await replyOf(lab, user, words);
      if (text === undefined) {
        failed.push(`${name}: ${fromHttp}`);
        if (fromHttp !== '') assert.match(fromHttp, /^\[\["error",/);
        return;
      }
      const encoded = encodedAs(lab, words, text);
      // 2.3 writes digits of escapes in lower case.
      const expected = fromHttp.replace(/\\u[0-9a-f]{4}/g, (escape) => `\\u${escape.slice(2).toUpperCase()}`);
      if (one.isMoving === undefined) assert.equal(encoded, expected);
      else assert.deepEqual(shapeOf(encoded), shapeOf(fromHttp));
      whole.push(name);
    });
  }
  t.diagnostic(`whole: ${whole.length}; failed here and there: ${failed.join('; ')}`);
  assert.ok(whole.length > 25);
});

onDovecot('the list of commands', openLab, async (t, lab) => {
  const list: unknown = JSON.parse(await askOverHttp(lab, 'GET', ''));
  assert.ok(Array.isArray(list));
  type Listed = { command: string; parameters: { name: string; type: string }[] };
  const listed = new Map(list.map(({ command, parameters }: Listed) => [command, parameters]));
  const types = {
    bool: 'boolean',
    int: 'integer',
    array: 'array',
    str: 'string',
    istream: 'string',
  } as const;
  const inner = ['transFlags', 'noUserdbLookup', 'fieldstr', 'flagstr', 'ignoreArg'];
  let compared = 0;
  for (const command of commandsOf(lab.series)) {
    const parameters = listed.get(jsonName(command.name));
    // 2.4.0 to 2.4.2 say `user` where later ones say `user-mask`.
    if (parameters === undefined || command.name === 'auth cache flush') continue;
    compared += 1;
    const expected = command.params
      .filter((each) => each.role !== 'internal' && listOfText(command, each) === undefined)
      .map((each) => ({ name: jsonName(each.name), type: types[each.type] }));
    const seen = parameters.filter(
      ({ name }) => !inner.includes(name) || expected.some((each) => each.name === name),
    );
    assert.deepEqual(seen, expected, command.name);
  }
  t.diagnostic(`${compared} of ${commandsOf(lab.series).length} commands of the catalog are listed here`);
  assert.ok(compared > 60);
  assert.ok(commandNamed(lab.series, 'mailbox status') !== undefined);
});

function plain(value: {
  readonly kind: string;
  readonly text?: string;
  readonly items?: readonly string[];
}): unknown {
  if (value.kind === 'true') return true;
  if (value.kind === 'number') return Number(value.text);
  return value.items ?? value.text ?? '';
}

/** Keys and types of the rows, each once. */
function shapeOf(answer: string): readonly string[] {
  const parsed: unknown = JSON.parse(answer);
  assert.ok(Array.isArray(parsed) && Array.isArray(parsed[0]) && Array.isArray(parsed[0][1]), answer);
  const shapes = parsed[0][1].map((row: object) =>
    Object.entries(row)
      .map(([key, value]) => `${key} ${typeof value}`)
      .join(', '),
  );
  return [...new Set<string>(shapes)].toSorted();
}
