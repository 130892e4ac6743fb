// Who a fleet's NATS server knows: an operator whose public key is in the server's configuration; three accounts' JWTs, which the operator
// signs, and the rights of each account's users in them. A new gate is one more account, which the server is given while it runs.
//
//   AUDIT      has the streams; exports, to who has its token, the subjects of gates, whatever their number: no join changes it
//   SYS        the system account: its one user gives accounts to the server
//   GATE_HOST  one for each gate: imports the subjects of this gate, and nothing else; its tokens are signed with a key of AUDIT
//
// In one account with the streams, a gate could have the server remove them: a server sends an answer with its own rights to any subject
// that a request names. The keys of the accounts themselves sign nothing and are kept nowhere. A user is signed by a key of its own, which
// its account lists with the user's rights and which is forgotten at once: a new key in its place ends the user before. So users need no
// end in time: who must go is taken off the list, and no gate stops because of a date.

import * as z from 'zod';
import { bounds } from '../../host/bounds/bounds.js';
import { text } from '../../host/values/shape.js';
import { asList, asObject, parseLine } from '../../host/values/values.js';
import { verifierName } from '../../rules/config/fleet-names.js';
import { administratorName, exportedSubjects, verifierQuestions, verifierSubjects } from '../fleet/block.js';
import { formatCredentials, readJwt, signJwt } from '../nats/jwt.js';
import { makeKey, type NatsKey, readKey } from '../nats/nkeys.js';

/** The user of the system account. */
export const systemName = 'system';

const jwt = text(bounds.fleetTrustBytes);
const trustFile = z.object({
  /** It signs accounts: secret. */
  operatorSeed: jwt,
  operator: jwt,
  /** It signs what gates may import: secret. A user that it signs has no right. */
  grantSeed: jwt,
  audit: jwt,
  system: jwt,
});
export type Trust = Readonly<z.infer<typeof trustFile>>;

/** The file of an administrator. */
export function formatTrust(trust: Trust): string {
  return `${JSON.stringify(trust)}\n`;
}

export function parseTrust(given: string): Trust | undefined {
  return trustFile.safeParse(parseLine(given)).data;
}

/** Subjects; without `allow` or `deny`: all. */
interface Subjects {
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
}
export interface Rights {
  readonly publish?: Subjects;
  readonly subscribe?: Subjects;
}

const inboxOf = (name: string): Subjects => ({ allow: [`_INBOX.${name}.>`] });

/** All streams of its account are the fleet's, and a token of a subject has no wildcard for a part of it. */
const verifierRights: Rights = {
  publish: { allow: [...verifierSubjects, ...verifierQuestions.map((subject) => `$JS.API.${subject}`)] },
  subscribe: inboxOf(verifierName),
};

const systemRights: Rights = {
  publish: {
    allow: ['$SYS.REQ.CLAIMS.UPDATE', '$SYS.REQ.CLAIMS.LIST', '$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP'],
  },
  subscribe: inboxOf(systemName),
};

/** Of a user that was signed with the key for grants. */
const noRights: Rights = { publish: { deny: ['>'] }, subscribe: { deny: ['>'] } };

const unlimited = { subs: -1, data: -1, payload: -1 };
const accountLimits = { ...unlimited, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: 0 };
/** One gate's credentials take no more of the server than this: it gives each connection memory, and each subscription. */
const gateLimits = { ...accountLimits, conn: bounds.fleetConnections, subs: bounds.fleetSubscriptions };
const withStreams = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };

/** What the server lets a key of an account sign: users with exactly these rights. */
function scopeOf({ id }: NatsKey, role: string, { publish = {}, subscribe = {} }: Rights): object {
  const template = { ...unlimited, pub: publish, sub: subscribe };
  return { kind: 'user_scope', key: id, role, template };
}

interface Account {
  readonly id: string;
  readonly name: string;
  readonly issuedAt: number;
}

function signAccount(operator: NatsKey, { id, name, issuedAt }: Account, more: object): string {
  const nats = { type: 'account', limits: accountLimits, ...more };
  return signJwt({ issuer: operator, subject: id, name, issuedAt, nats });
}

/** The file of a user whose rights its account lists for `signer`. */
function credentialsOf(account: Account, signer: NatsKey, name: string): string {
  const user = makeKey('user');
  const { id, issuedAt } = account;
  const nats = { type: 'user', issuer_account: id };
  return formatCredentials(signJwt({ issuer: signer, subject: user.id, name, issuedAt, nats }), user.seed);
}

/** A user of an account that is not a gate's. */
export interface FleetUser {
  readonly name: string;
  readonly account: 'audit' | 'system';
  readonly rights: Rights;
}

export const verifierUser: FleetUser = { name: verifierName, account: 'audit', rights: verifierRights };
export const administratorUser: FleetUser = { name: administratorName, account: 'audit', rights: {} };
export const systemUser: FleetUser = { name: systemName, account: 'system', rights: systemRights };

/** A new fleet's, which has no user yet. `streams`: the account that has the streams already, and goes on as another operator's. */
export function makeTrust(nowMs: number, streams?: { readonly audit: string }): Trust {
  const issuedAt = Math.floor(nowMs / 1000);
  const operator = makeKey('operator');
  const grants = makeKey('account');
  const accountOf = (name: string, id = makeKey('account').id): Account => ({ id, name, issuedAt });
  const audit = accountOf('AUDIT', streams && claimsOf(streams.audit).subject);
  const system = accountOf('SYS');
  const exported = exportedSubjects.map((subject) => {
    return { name: subject, subject, type: 'service', token_req: true };
  });
  const own = { limits: { ...accountLimits, ...withStreams }, exports: exported };
  const signing_keys = [scopeOf(grants, 'grants', noRights)];
  return {
    operatorSeed: operator.seed,
    operator: signJwt({
      issuer: operator,
      subject: operator.id,
      name: 'dovegate fleet',
      issuedAt,
      nats: { type: 'operator' },
    }),
    grantSeed: grants.seed,
    audit: signAccount(operator, audit, { ...own, signing_keys }),
    system: signAccount(operator, system, {}),
  };
}

/** A new user in the place of the one before, which the server forgets with the account's new JWT. Throws a TypeError if it is damaged. */
export function renewUser(
  trust: Trust,
  { name: role, account: which, rights }: FleetUser,
  nowMs: number,
): { readonly trust: Trust; readonly credentials: string } {
  const { subject: id, name, issuedAt: before, nats } = claimsOf(trust[which]);
  const account = { id, name, issuedAt: laterThan(before, nowMs) };
  const signer = makeKey('account');
  const others = (asList(nats['signing_keys']) ?? []).filter((each) => asObject(each)?.['role'] !== role);
  const signing_keys = [...others, scopeOf(signer, role, rights)];
  const operator = signerOf(trust.operatorSeed);
  const renewed = signAccount(operator, account, { ...nats, signing_keys });
  return {
    trust: { ...trust, [which]: renewed },
    credentials: credentialsOf(account, signer, role),
  };
}

export interface GateUser {
  readonly host: string;
  /** All that it may send to. */
  readonly subjects: readonly string[];
}

/**
 * A gate's account with one user. `before`: the account's JWT until now, if there was one; the server forgets its user with the new JWT.
 */
export function issueGate(
  trust: Trust,
  { host, subjects }: GateUser,
  before: string | undefined,
  nowMs: number,
): { readonly account: string; readonly credentials: string } {
  const account = gateAccountOf(host, before, nowMs);
  const signer = makeKey('account');
  const grants = signerOf(trust.grantSeed);
  const audit = claimsOf(trust.audit).subject;
  const imports = subjects.map((subject) => {
    const grant = { type: 'activation', kind: 'service', subject, issuer_account: audit };
    const { id, issuedAt } = account;
    const token = signJwt({ issuer: grants, subject: id, name: subject, issuedAt, nats: grant });
    return { name: subject, subject, type: 'service', account: audit, token };
  });
  const signing_keys = [scopeOf(signer, host, { publish: { allow: subjects }, subscribe: inboxOf(host) })];
  const operator = signerOf(trust.operatorSeed);
  return {
    account: signAccount(operator, account, { limits: gateLimits, imports, signing_keys }),
    credentials: credentialsOf(account, signer, host),
  };
}

/**
 * The account of a gate that is gone: it has no user and no subject. It replaces the one before on every server, also on one that was away:
 * the newer JWT of an account counts. One that is only removed would come back from there.
 */
export function endGate(trust: Trust, host: string, before: string, nowMs: number): string {
  return signAccount(signerOf(trust.operatorSeed), gateAccountOf(host, before, nowMs), {});
}

function gateAccountOf(host: string, before: string | undefined, nowMs: number): Account {
  const known = before === undefined ? undefined : claimsOf(before);
  return {
    id: known?.subject ?? makeKey('account').id,
    name: `GATE_${host}`,
    issuedAt: laterThan(known?.issuedAt ?? 0, nowMs),
  };
}

/** A server keeps the newer one, by the second. */
function laterThan(before: number, nowMs: number): number {
  return Math.max(before + 1, Math.floor(nowMs / 1000));
}

function signerOf(seed: string): NatsKey {
  const key = readKey(seed);
  if (key === undefined) throw new TypeError('a key of the fleet is damaged');
  return key;
}

function claimsOf(account: string): NonNullable<ReturnType<typeof readJwt>> {
  const claims = readJwt(account);
  if (claims === undefined) throw new TypeError('an account of the fleet is no JWT');
  return claims;
}

/** The part of a server's configuration that is of this fleet alone: no secret. No join changes it. */
export function formatServerTrust({ operator, audit, system }: Trust): string {
  const preloaded = [audit, system].map((account) => `  ${claimsOf(account).subject}: ${account}`);
  return [
    '# Made by "dovegate audit fleet prepare": the operator whose accounts this server takes, and the two that never change.',
    `operator: ${operator}`,
    `system_account: ${claimsOf(system).subject}`,
    'resolver_preload: {',
    ...preloaded,
    '}',
    '',
  ].join('\n');
}
