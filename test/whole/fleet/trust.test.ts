// Goal: what a server of a fleet takes, by real servers: a grant counts for one subject, for one account, if AUDIT's key for grants
// signed it; an account counts if the operator signed it; a user has the rights that its account lists for its key. What must not
// happen: a gate that reaches another one's stream, or a stolen key that can do more than docs/audit-fleet.md says ("Keys, and what
// they can forge").
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type NatsConnection, nkeys } from '@nats-io/transport-node';
import { exportedSubjects, gateSubjectsOf, hostStreamOf } from '../../../src/evidence/fleet/block.js';
import { formatTrust, issueGate, parseTrust } from '../../../src/evidence/fleet-cli/fleet-trust.js';
import { NatsFault } from '../../../src/evidence/nats/fault.js';
import { formatCredentials, readCredentials, readJwt, signJwt } from '../../../src/evidence/nats/jwt.js';
import { type NatsLink, openNats } from '../../../src/evidence/nats/link.js';
import { makeKey, type NatsKey, readKey } from '../../../src/evidence/nats/nkeys.js';
import { bounds } from '../../../src/host/bounds/bounds.js';
import { natsReleases, openNatsServer } from '../../kit/gate/nats.js';
import { makeTestTrust } from '../../kit/gate/nats-trust.js';
import { until } from '../../kit/plain/until.js';
import { skipOf } from './fleet-lab.js';

const prefix = 'DOVEGATE_AUDIT';
const journal = 'a'.repeat(32);
type Import = Readonly<Record<string, unknown>>;

const keyOf = (seed: string): NatsKey => readKey(seed) ?? assert.fail('a seed');
const claimsOf = (jwt: string) => readJwt(jwt) ?? assert.fail('a JWT');

test('keys are those of the library, and a changed seed is none', () => {
  for (const kind of ['operator', 'account', 'user'] as const) {
    const key = makeKey(kind);
    const theirs = nkeys.fromSeed(Buffer.from(key.seed));
    assert.equal(theirs.getPublicKey(), key.id);
    const text = Buffer.from('text');
    assert.ok(theirs.verify(text, key.sign(text)));
    assert.ok(nkeys.fromPublic(key.id).verify(text, keyOf(key.seed).sign(text)));
    const other = key.seed.endsWith('A') ? 'B' : 'A';
    for (const seed of ['', 'SU', key.id, `${key.seed.slice(0, -1)}${other}`, key.seed.toLowerCase()])
      assert.equal(readKey(seed), undefined, seed);
  }
});

test('every subject of a gate is within one that AUDIT exports, and a file of an administrator is read as it was written', () => {
  const covers = (wide: string, one: string): boolean => {
    const [many, words] = [wide.split('.'), one.split('.')];
    return many.length === words.length && many.every((each, at) => each === '*' || each === words[at]);
  };
  for (const subject of gateSubjectsOf(prefix, 'mail-gate-1'))
    assert.ok(
      exportedSubjects.some((wide) => covers(wide, subject)),
      subject,
    );
  assert.equal(exportedSubjects.length, gateSubjectsOf(prefix, 'a').length);
  const { trust, accounts } = makeTestTrust(new Map([['a', gateSubjectsOf(prefix, 'a')]]));
  assert.deepEqual(parseTrust(formatTrust(trust)), trust);
  assert.equal(
    parseTrust(formatTrust({ ...trust, audit: 'x'.repeat(bounds.fleetTrustBytes + 1) })),
    undefined,
  );
  assert.equal(parseTrust('{}'), undefined);
  // The longest names.
  const [stream, host] = ['S'.repeat(64), 'h'.repeat(63)];
  const long = makeTestTrust(new Map([[host, gateSubjectsOf(stream, host)]]));
  assert.ok(
    (long.accounts.get(host)?.length ?? 0) < bounds.fleetTrustBytes / 2,
    `${long.accounts.get(host)?.length}`,
  );
  assert.ok((long.credentials.get(host)?.length ?? 0) < (64 * 1024) / 8);
  assert.ok((accounts.get('a')?.length ?? 0) < 5000);
});

for (const release of natsReleases)
  test(`what is forged, moved or taken from others does nothing (${release})`, {
    timeout: 600_000,
  }, async (t) => {
    const nats = await openNatsServer(t, { gates: ['gate1', 'gate2'], release });
    if (skipOf(t, nats)) return;
    const { trust, accounts } = nats.trust ?? assert.fail('by JWT');
    const [operator, grants] = [keyOf(trust.operatorSeed), keyOf(trust.grantSeed)];
    const audit = claimsOf(trust.audit).subject;
    const open = async (name: string): Promise<NatsLink> => {
      const link = await openNats(nats.settingsOf(name));
      t.after(() => link.close());
      return link;
    };
    const openWith = (name: string, credentials: string): Promise<NatsLink> => {
      writeFileSync(join(nats.folder, `${name}.creds`), credentials, { mode: 0o600 });
      return open(name);
    };
    const failsBy = async (promise: Promise<unknown>, code: string, what: string): Promise<void> => {
      const fault = await promise.then(
        () => assert.fail(`${what}: done`),
        (thrown: unknown) => thrown,
      );
      assert.ok(fault instanceof NatsFault, `${what}: ${String(fault)}`);
      assert.equal(fault.code, code, `${what}: ${fault.message}`);
    };
    const [admin, system] = [await open('admin'), await open('system')];
    for (const host of ['gate1', 'gate2', 'gate3']) {
      const { name, subjects } = hostStreamOf(prefix, host);
      await admin.createStream(name, { subjects, replicas: 1, maxAgeMs: 0, maxBytes: undefined });
    }
    const countOf = async (host: string): Promise<number> =>
      (await admin.info(hostStreamOf(prefix, host).name)).messages;
    const subjectOf = (host: string): string => `dovegate.audit.${host}.${journal}`;

    /** An account that the operator signed, with other imports, and a user who may do all that these permit. */
    const craft = (
      host: string,
      change: (imports: readonly Import[]) => readonly Import[],
      by = operator,
    ) => {
      const gate = issueGate(trust, { host, subjects: gateSubjectsOf(prefix, host) }, undefined, Date.now());
      const { subject, name, issuedAt, nats: claims } = claimsOf(gate.account);
      const { imports, signing_keys } = Object(claims);
      const scope = { ...signing_keys[0], template: { ...signing_keys[0].template, pub: {}, sub: {} } };
      const changed = { ...claims, imports: change(imports), signing_keys: [scope] };
      const account = signJwt({ issuer: by, subject, name, issuedAt, nats: changed });
      return { account, credentials: gate.credentials, id: subject };
    };
    const grantOf = (issuer: NatsKey, to: string, subject: string, more: object): string => {
      const claims = { type: 'activation', kind: 'service', subject, ...more };
      return signJwt({ issuer, subject: to, name: subject, issuedAt: 1_700_000_000, nats: claims });
    };
    const imported = (subject: string, token: unknown): Import => {
      return {
        name: subject,
        subject,
        type: 'service',
        account: audit,
        ...(token !== undefined && { token }),
      };
    };
    const victim = 'dovegate.audit.gate1.*';
    const stranger = makeKey('account');
    const ofGate1 = Object(claimsOf(accounts.get('gate1') ?? '').nats).imports[0].token;
    const rows: readonly (readonly [string, (own: readonly Import[]) => readonly Import[]])[] = [
      [
        'a grant for its own subject, used for all',
        (own) => [imported('dovegate.audit.*.*', own[0]?.['token'])],
      ],
      ["a grant for its own subject, used for another one's", (own) => [imported(victim, own[0]?.['token'])]],
      ['the grant of another account', () => [imported(victim, ofGate1)]],
      ['no grant', () => [imported(victim, undefined)]],
    ];
    const crafted = [
      ...rows.map(([what, change]) => [what, craft('gate3', change)] as const),
      ...(
        [
          ['a grant by a key of its own', stranger, { issuer_account: audit }],
          ['a grant by a key of its own, and of its own account', stranger, {}],
          ['a grant by the operator', operator, { issuer_account: audit }],
        ] as const
      ).map(([what, issuer, more]) => {
        const id = makeKey('account').id;
        const made = craft('gate3', () => []);
        const token = grantOf(issuer, made.id, victim, more);
        const { subject, name, issuedAt, nats: claims } = claimsOf(made.account);
        const changed = { ...claims, imports: [imported(victim, token)] };
        assert.notEqual(subject, id);
        return [
          what,
          { ...made, account: signJwt({ issuer: operator, subject, name, issuedAt, nats: changed }) },
        ] as const;
      }),
    ];
    for (const [what, { account, credentials }] of crafted) {
      // The server may refuse the account, or not carry the import out.
      await system.pushAccount(account).catch(() => undefined);
      const link = await openWith('forger', credentials).catch(() => undefined);
      await assert.rejects(
        async () =>
          link?.publish(subjectOf('gate1'), [], Buffer.from('x'), 0) ?? Promise.reject(new Error('no login')),
        what,
      );
      assert.equal(await countOf('gate1'), 0, what);
    }
    // The same with a grant of AUDIT: so the rows above fail for what they say.
    const real = craft('gate3', (own) => own);
    await system.pushAccount(real.account);
    const gate3 = await openWith('gate3', real.credentials);
    assert.equal((await gate3.publish(subjectOf('gate3'), [], Buffer.from('x'), 0)).streamSeq, 1);
    await failsBy(
      gate3.publish(subjectOf('gate1'), [], Buffer.from('x'), 0),
      'no-stream',
      'of one account, in another',
    );
    await failsBy(
      gate3.lastOf('DOVEGATE_AUDIT_gate1', subjectOf('gate1')),
      'no-stream',
      'reading another one',
    );
    await failsBy(gate3.info('DOVEGATE_AUDIT_gate3'), 'no-stream', 'the API of JetStream');

    // nats-server 2.9 takes it from who may give accounts, and no login with it.
    for (const [what, by] of [
      ['another operator', makeKey('operator')],
      ['a key of no operator', makeKey('account')],
    ] as const) {
      const foreign = craft('gate4', (own) => own, by);
      await system.pushAccount(foreign.account).catch(() => undefined);
      await failsBy(openWith('forger', foreign.credentials), 'auth-rejected', what);
    }

    // A user who is signed with the key for grants, with a key of nobody, and with that of a gate's own user.
    const userOf = (issuer: NatsKey, account: string, rights: object = {}): string => {
      const key = makeKey('user');
      const claims = { type: 'user', issuer_account: account, ...rights };
      return formatCredentials(
        signJwt({ issuer, subject: key.id, name: 'forger', issuedAt: 1_700_000_000, nats: claims }),
        key.seed,
      );
    };
    const all = { pub: {}, sub: {}, subs: -1, data: -1, payload: -1 };
    const powerless = await openWith('forger', userOf(grants, audit));
    for (const subject of [subjectOf('gate1'), '$JS.API.STREAM.DELETE.DOVEGATE_AUDIT_gate1'])
      await failsBy(powerless.publish(subject, [], Buffer.from('x'), 0), 'no-rights', subject);
    await failsBy(openWith('forger', userOf(grants, audit, all)), 'auth-rejected', 'with rights of its own');
    await failsBy(openWith('forger', userOf(stranger, audit)), 'auth-rejected', 'by a key of nobody');
    const { seed } = readCredentials(real.credentials) ?? assert.fail('credentials');
    await failsBy(openWith('forger', userOf(keyOf(seed), real.id)), 'auth-rejected', "by a gate's own key");
    for (const account of [audit, claimsOf(accounts.get('gate1') ?? '').subject]) {
      await failsBy(openWith('forger', userOf(keyOf(seed), account)), 'auth-rejected', 'in another account');
      if (account !== audit)
        await failsBy(
          openWith('forger', userOf(grants, account)),
          'auth-rejected',
          'grants, in another account',
        );
      // The user that was signed, but for the account that it names.
      const [head, body = '', signature] = readCredentials(real.credentials)?.jwt.split('.') ?? [];
      const claims = Object(JSON.parse(Buffer.from(body, 'base64url').toString()));
      const moved = { ...claims, nats: { ...claims.nats, issuer_account: account } };
      const jwt = [head, Buffer.from(JSON.stringify(moved)).toString('base64url'), signature].join('.');
      await failsBy(
        openWith('forger', formatCredentials(jwt, seed)),
        'auth-rejected',
        'another account named',
      );
    }

    for (const subject of [
      '$SYS.REQ.CLAIMS.DELETE',
      '$SYS.REQ.SERVER.PING',
      `$SYS.REQ.ACCOUNT.${audit}.CONNZ`,
      subjectOf('gate1'),
    ])
      await failsBy(system.publish(subject, [], Buffer.from('x'), 0), 'no-rights', subject);
    assert.deepEqual(await Promise.all(['gate1', 'gate2', 'gate3'].map(countOf)), [0, 0, 1]);

    // What the thief of system.creds can do: an account that was replaced counts again, with its user.
    const subjects = gateSubjectsOf(prefix, 'gate2');
    const renewed = issueGate(trust, { host: 'gate2', subjects }, accounts.get('gate2'), Date.now());
    await system.pushAccount(renewed.account);
    await failsBy(open('gate2'), 'auth-rejected', 'a user that was replaced');
    await system.pushAccount(accounts.get('gate2') ?? '');
    await open('gate2');
    await system.pushAccount(renewed.account);
    await failsBy(open('gate2'), 'auth-rejected', 'a user that was replaced');

    // Nobody else gives the server an account: not the thief of a gate, of the verifier, of the administrator.
    for (const [name, code] of [
      ['gate1', 'no-rights'],
      ['verifier', 'no-rights'],
      // It may send in its own account, where no server listens.
      ['admin', 'no-stream'],
    ] as const) {
      const thief = await open(name);
      await failsBy(thief.pushAccount(accounts.get('gate2') ?? ''), code, `an account by ${name}`);
      await failsBy(thief.accounts(), code, `all accounts, to ${name}`);
      await failsBy(open('gate2'), 'auth-rejected', `an account by ${name}`);
    }
  });

for (const release of natsReleases)
  test(`one gate's credentials take some connections and subscriptions of the server (${release})`, {
    timeout: 600_000,
  }, async (t) => {
    const nats = await openNatsServer(t, { gates: ['gate1', 'gate2'], release });
    if (skipOf(t, nats)) return;
    const thief: NatsConnection[] = [];
    // One after the other: the server has a time limit for each.
    while (thief.length < bounds.fleetConnections) thief.push(await nats.connect('gate1'));
    t.after(() => Promise.all(thief.map((connection) => connection.close())));
    await assert.rejects(
      openNats(nats.settingsOf('gate1')),
      /takes no more connections by these credentials/,
    );
    await (await openNats(nats.settingsOf('gate2'))).close();

    const [first] = thief;
    assert.ok(first !== undefined);
    const refused: string[] = [];
    void (async () => {
      for await (const status of first.status())
        if (status.type === 'error') refused.push(status.error.message);
    })();
    for (let at = 0; at < bounds.fleetSubscriptions; at += 1)
      first.subscribe(`_INBOX.gate1.${at}`, { callback: () => undefined });
    await first.flush();
    assert.deepEqual(refused, []);
    first.subscribe('_INBOX.gate1.more', { callback: () => undefined });
    await until(() => refused.length > 0, 'one more is refused');
    assert.match(refused.join(), /maximum subscriptions exceeded/i);
  });
