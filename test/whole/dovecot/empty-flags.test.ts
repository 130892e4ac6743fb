// Goal: an empty list does through the gate what it does at a real Dovecot, on the wire and over HTTP: `flags replace` takes all flags
// away, `flags add` and `flags remove` change nothing, `fetch` prints nothing.
// What must not happen: a refusal, or a rule for some flags that lets it pass.
import assert from 'node:assert/strict';
import { openLab } from '../../kit/plain/dovecot-lab.js';
import { openRawClient } from '../../kit/plain/raw-client.js';
import { askRaw, authorizationOf, encodePost } from '../../kit/plain/raw-http.js';
import { askOverHttp } from './http-and-wire.js';
import { openHttpGateway } from './http-gateway.js';
import { alice, onDovecot } from './real-gateway.js';

const narrow = `
    users: ["*"]
    allow: [{ command: flags replace, where: { flag: { one_of: ['\\Seen'], optional: true } } }]`;
const policy = `
    users: ["*"]
    allow: [fetch, flags replace, { command: flags add, where: { flag: any } }, flags remove]`;
const query = ['mailbox', 'INBOX', '1'];
const commands = ['flags replace', 'flags add', 'flags remove'] as const;

onDovecot('an empty list of flags', openLab, async (t, lab) => {
  const { gateway, port, key } = await openHttpGateway(t, lab, policy, { policy: narrow });
  const own = async (...words: string[]): Promise<string> => {
    const { exit, text } = await lab.doveadm(['-f', 'flow', ...words]);
    assert.equal(exit, 0, text);
    return text.replace('\\Recent', '').replaceAll(/ +/g, ' ').trim();
  };
  const mark = (): Promise<string> => own('flags', 'replace', '-u', alice, '\\Seen work', ...query);
  const left = (): Promise<string> => own('fetch', '-u', alice, 'flags', ...query);
  const bodyOf = (name: string): string =>
    JSON.stringify([
      [name.replace(/ ./, (two) => two.slice(1).toUpperCase()), { user: alice, flag: [], query }, 't'],
    ]);
  const raw = await gateway.client({ minor: 2 });
  for (const name of commands) {
    await mark();
    await own(...name.split(' '), '-u', alice, '', ...query);
    const meant = await left();
    assert.equal(meant, name === 'flags replace' ? 'flags=' : 'flags=\\Seen work');
    await mark();
    const direct = await askOverHttp(lab, 'POST', bodyOf(name));
    assert.equal(await left(), meant);
    await mark();
    const request = encodePost({ body: bodyOf(name), authorization: authorizationOf.key(key) });
    assert.equal((await askRaw({ port }, request)).body.toString(), direct);
    assert.equal(await left(), meant);
  }
  const nothing = JSON.stringify([['fetch', { user: alice, field: [], query }, 't']]);
  const request = encodePost({ body: nothing, authorization: authorizationOf.key(key) });
  assert.equal((await askRaw({ port }, request)).body.toString(), await askOverHttp(lab, 'POST', nothing));
  await mark();
  assert.deepEqual(
    (await raw.ask({ user: alice, fields: ['flags replace', '', ...query] })).status,
    '-NOPERM',
  );
  assert.equal(await left(), 'flags=\\Seen work');
  await gateway.reload({ way: 'unix', password: lab.password, policy });
  const wire = await gateway.client({ minor: 2 });
  assert.equal((await wire.ask({ user: alice, fields: ['flags replace', '', ...query] })).status, '+');
  assert.equal(await left(), 'flags=');
  const asked = { user: alice, fields: ['fetch', '', ...query] };
  const directly = await openRawClient({ path: lab.unixPreauth, minor: 2, owner: t });
  assert.deepEqual(await wire.ask(asked), await directly.ask(asked));
});
