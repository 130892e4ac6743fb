// The shape of `admin` and of `admin.page`: their sockets, and people with their roles. A setting that could admit the wrong person, or no
// person, is an error: a proof without verification, a proof that two people share, a person without a proof.

import type * as z from 'zod';
import { isOfThisMachine } from '../../host/ports/peer.js';
import { type HostAndPort } from '../../host/words/host-port.js';
import { foldAscii } from '../../host/words/text.js';
import { type PageRole, pageRoles } from '../identity/roles.js';
import type { Cursor } from './cursor.js';
import {
  as,
  ca,
  file,
  fileMode,
  flag,
  hostAndPort,
  hostName,
  hostOf,
  isCheap,
  listOf,
  logins,
  named,
  oneOf,
  section,
  socketFile,
  text,
  tlsFiles,
  userPatterns,
  without,
  word,
} from './schema-parts.js';

/** The socket at which the page's process asks. */
export const standardDoor = '/run/dovegate/door.sock';

function tcpPlace(port: number) {
  return hostAndPort(
    `ADDRESS:PORT, as 127.0.0.1:${port}`,
    `must be ADDRESS:PORT or [IPV6]:PORT, as 127.0.0.1:${port}`,
  );
}

const personOidc = section(
  'one of email, sub and group',
  {
    email: text('an address, as carol@example.com')
      .optional()
      .describe('their address, which the issuer must have verified'),
    sub: word.optional().describe('the id that the issuer gives them'),
    group: word.optional().describe('a group of the issuer: all of its members are this person of the page'),
  },
  undefined,
  {},
  checkIdentity,
);

/** Reports an identity that no claim of the issuer can match. */
function checkIdentity(oidc: { email?: string; sub?: string; group?: string }, at: Cursor): void {
  const [given, ...more] = Object.entries(oidc);
  if (given === undefined || more.length > 0)
    return at.error([], 'must have one of email, sub and group', 'key-conflict');
  const [key, value] = given;
  if (value === '') return at.error([key], 'must not be empty: it would be whoever has an empty one');
  const isWord = key === 'group' ? !/^\s|\p{C}|\s$/u.test(value) : !/[\s\p{C}]/u.test(value);
  if (!isWord) at.error([key], 'can match nobody: it has a blank or an invisible character');
  else if (key === 'email' && !/^[^@*]+@[^@*]+$/.test(value))
    at.error([key], 'can match nobody: must be one address, as carol@example.com');
  else if (value.includes('*'))
    at.error([key], 'can match nobody: it is compared as it stands, without patterns');
}

const proofs = ['user', 'certificate_name', 'password_hash', 'oidc'];

const pagePerson = section(
  'a person',
  {
    user: hostName.optional().describe('the user of this host, by name or number; needs `unix`'),
    ...logins,
    oidc: personOidc
      .optional()
      .describe(
        'who they are to the issuer: one of `email` (that it verified), `sub`, or `group` (all of its members are this person of the page)',
      ),
    role: oneOf(pageRoles)
      .optional()
      .describe(
        '`view`: how it runs, no names of users; `operate`: also drain, enable and kill; `audit`: the records; `approve`: decides about requests for access',
      ),
    roles: listOf(oneOf(pageRoles), 'roles, as [operate, audit]')
      .optional()
      .describe('several of them, in the place of `role`, as `[operate, audit]`'),
    users: userPatterns('["*@example.com"]')
      .optional()
      .describe(
        'patterns of the mail users whose records they may see, and whose requests they may approve; absent: all',
      ),
  },
  'somebody who may sign in to the page, by one or more of four proofs',
  {
    'key-conflict': {
      'role: stands beside roles; keep one of them': ({ roles }) => roles !== undefined,
      'oidc.group: is many people: take out the other proofs, or make a person of their own of them': (
        each,
      ) => (each.user ?? each.certificateName ?? each.passwordHash) !== undefined,
    },
    'missing-key': {
      '.: could never sign in; add user (of this host), certificate_name, password_hash (see dovegate hash-password), or oidc':
        (_, at) => !proofs.some((key) => at.isWritten(key)),
    },
    'invalid-value': {
      'roles: an empty list permits nothing; take the person out': ({ roles }) => roles?.length === 0,
      'users: an empty list shows nothing; take it out to show the records of all users': ({ users }, at) =>
        users?.length === 0 && !at.isShortened('users'),
    },
    doubtful: {
      'password_hash: is cheap to guess against; make a new one with dovegate hash-password': isCheap,
    },
  },
  (person, at) => {
    const roles = rolesOf(person);
    const message = `is for roles audit and approve: "${roles.join('" and "')}" shows no records`;
    if (at.has('users') && !roles.includes('audit') && !roles.includes('approve'))
      at.error(['users'], message, 'key-conflict');
  },
).refine(({ role, roles }) => role !== undefined || roles !== undefined, {
  path: ['role'],
  error: `must be one of: ${pageRoles.join(', ')}`,
});

export function rolesOf({ role, roles }: Roles): readonly PageRole[] {
  return [...new Set(roles ?? (role === undefined ? [] : [role]))];
}

interface Roles {
  readonly role?: PageRole;
  readonly roles?: readonly PageRole[];
}

function approverIn(people: Readonly<Record<string, Roles>>): string | undefined {
  return Object.keys(people).find((name) => rolesOf(people[name] ?? {}).includes('approve'));
}

const page = section(
  'the settings of the page',
  {
    tcp: tcpPlace(9147)
      .optional()
      .describe('address and port of the page for browsers; beyond loopback with `tls` only; default: none'),
    tls: section('TLS of the page', tlsFiles).optional(),
    unix: socketFile('the path of a UNIX socket')
      .optional()
      .describe('path of the socket where people of this host ask; the kernel says who connects'),
    mode: fileMode('0660').describe('permission bits of that socket, in quotes'),
    group: word
      .optional()
      .describe('group of that socket, where systemd does not make it; default: the group of the page'),
    oidc: section(
      'the issuer of OpenID Connect',
      {
        issuer: text('an https address, as https://sso.example.com/realms/mail').describe(
          'its address; `http` on loopback only',
        ),
        client_id: text('the name of the page at the issuer').describe('name of the page at the issuer'),
        client_secret_file: file('a file with the secret of that client').describe(
          'file with the secret of that client; only the process of the page reads it',
        ),
        ca,
      },
      'sign-in at an issuer of OpenID Connect',
      {},
      checkIssuer,
    ).optional(),
    people: named(pagePerson, 'people'),
    approve: flag(false).describe(
      'people with the role `approve` may decide about requests for access here; the page then vouches for who they are',
    ),
    fleet: as(
      'fleetFile',
      file('the path of the status.json that dovegate audit fleet watch writes').optional(),
    ).describe('`status.json` of `dovegate audit fleet watch`: screen Proof shows all gates; default: none'),
  },
  'the page in the browser, and the socket where people of this host may look at the journal',
  {
    'missing-key': {
      '.: needs unix, tcp, or both': (_, at) => !at.isWritten('unix') && !at.isWritten('tcp'),
    },
    'key-conflict': {
      'mode group: is for unix, which is not there': (_, at) => !at.isWritten('unix'),
      'tls: is for tcp, which is not there': (_, at) => !at.isWritten('tcp'),
    },
    'no-effect': {
      // Connecting needs the permission to write. Clients are checked by name, so an open mode is no problem.
      'mode: lets only root and the user of the daemon connect; say a group and "0660"': ({ unix, mode }) =>
        unix !== undefined && (mode & 0o022) === 0,
      'unix: lets nobody in: no person has a user': ({ people }) =>
        Object.keys(people).length > 0 && lacks(people, 'user'),
      'oidc: lets nobody in: no person has oidc': ({ people }, at) =>
        !Object.keys(people).some((name) => at.down('people', name).isWritten('oidc')),
      'tls.client_ca: has no effect: no person has a certificate_name': ({ people }) =>
        lacks(people, 'certificateName'),
      'approve: has no effect: no person has the role approve': ({ approve, people }) =>
        approve && approverIn(people) === undefined,
    },
    doubtful: {
      "approve: the page's process vouches for who approves: whoever takes it over can approve requests as these people":
        ({ approve, people }) => approve && approverIn(people) !== undefined,
    },
  },
  (values, at) => {
    const { approve, people } = values;
    checkTls(values, at);
    checkPeople(people, at);
    const approver = approverIn(people);
    const message = 'has the role approve, which has no effect without admin.page.approve: true';
    if (!approve && approver !== undefined) at.warning(['people', approver], message, 'no-effect');
  },
);

export const admin = section(
  'the admin endpoints',
  {
    unix: socketFile('the path of a UNIX socket')
      .optional()
      .describe('path of the admin socket; default: none'),
    mode: fileMode('0600').describe('permission bits of the admin socket, in quotes'),
    tcp: tcpPlace(9146)
      .optional()
      .describe('address and port of the admin endpoints; beyond loopback with `tls` and `token_file` only'),
    tls: section('TLS of the admin endpoints', without(tlsFiles, 'client_ca')).optional(),
    token_file: file('a file with a token').optional().describe('file with the token for `admin.tcp`'),
    page: page.optional().meta({ restart: false }),
    door: socketFile("the path of a UNIX socket for the page's process")
      .prefault(standardDoor)
      .describe(
        "path of the socket where the page's process asks the daemon; mode 0660 for the group `dovegate-page` where there is one, else 0600",
      ),
  },
  undefined,
  {
    'missing-key': {
      '.: needs unix, tcp, or both': (_, at) => !['unix', 'tcp', 'page'].some((key) => at.isWritten(key)),
    },
    'key-conflict': { 'tls: is for tcp, which is not there': (_, at) => !at.isWritten('tcp') },
  },
  (values, at) => {
    const { mode, tcp, tokenFile } = values;
    checkTls(values, at);
    if (tcp !== undefined && tokenFile === undefined && !isOfThisMachine(tcp.host))
      at.error(['tcp'], `${reachable(at)} a token: add token_file: FILE`, 'missing-key');
    const who = (mode & 0o002) === 0 ? "its group's members" : 'every user of this machine';
    const message = `lets ${who} see and change what the daemon does; say "0600" unless that is meant`;
    if ((mode & 0o022) !== 0) at.warning(['mode'], message, 'too-open');
  },
);

export type RawAdmin = z.infer<typeof admin>;
export type RawPage = z.infer<typeof page>;
export type RawPerson = z.infer<typeof pagePerson>;

/** Beyond this machine, metrics, actions and the page need TLS. */
function checkTls({ tcp, tls }: { readonly tcp?: HostAndPort; readonly tls?: object }, at: Cursor): void {
  if (tcp !== undefined && tls === undefined && !isOfThisMachine(tcp.host))
    at.error(['tcp'], `${reachable(at)} TLS: add tls: { certificate: FILE, key: FILE }`, 'missing-key');
}

function reachable(at: Cursor): string {
  return `${at.source('tcp')} can be reached from other machines, so it needs`;
}

function lacks(people: Readonly<Record<string, object>>, name: string): boolean {
  return !Object.values(people).some((person) => name in person);
}

function checkIssuer({ issuer }: { readonly issuer: string }, at: Cursor): void {
  const url = URL.canParse(issuer) ? new URL(issuer) : undefined;
  const isLocal = url?.protocol === 'http:' && isOfThisMachine(hostOf(url));
  if (url === undefined || (url.protocol !== 'https:' && !isLocal))
    at.error(
      ['issuer'],
      'must be an address with https://, as https://sso.example.com; http on loopback only',
    );
  else if (url.search !== '' || url.hash !== '' || url.username !== '' || url.password !== '')
    at.error(['issuer'], 'must be an address without a name, a password, "?" and "#"');
  else if (url.pathname.includes('/.well-known/'))
    at.error(['issuer'], 'must be the issuer itself, without /.well-known/openid-configuration');
}

/** Checks that the page can verify each proof, and that no two people share one. */
function checkPeople(people: Readonly<Record<string, RawPerson>>, at: Cursor): void {
  for (const name of Object.keys(people)) {
    const person = at.down('people', name);
    const needs = (key: string, other: string, message: string): void => {
      if (person.has(key) && !at.has(...other.split('.')))
        person.error([key], `needs admin.page.${other}: ${message}`, 'missing-key');
    };
    needs('user', 'unix', 'only there the kernel says who asks');
    for (const key of ['certificate_name', 'password_hash', 'oidc'])
      needs(key, 'tcp', 'it is shown by a browser');
    if (at.has('tls'))
      needs('certificate_name', 'tls.client_ca', 'the authority whose client certificates count');
    if (!at.isWritten('oidc')) needs('oidc', 'oidc', 'the issuer that says who they are');
  }
  checkOwners(people, at);
}

/** `at`: where `people` is. */
function checkOwners(people: Readonly<Record<string, RawPerson>>, at: Cursor): void {
  const owners = new Map<string, string>();
  for (const [name, { user, certificateName: certificate, oidc }] of Object.entries(people)) {
    const person = at.down('people', name);
    for (const [key, proof, what] of [
      ['user', user, 'a user of this host'],
      ['certificate_name', certificate, 'a certificate'],
      ['oidc.email', oidc?.email === undefined ? undefined : foldAscii(oidc.email), 'an address'],
      ['oidc.sub', oidc?.sub, 'an id of the issuer'],
      ['oidc.group', oidc?.group, 'a group of the issuer'],
    ] as const) {
      if (proof === undefined) continue;
      const other = owners.get(`${key} ${proof}`);
      if (other !== undefined)
        person.error(
          key.split('.'),
          `${proof} is "${other}" already; ${what} is one person`,
          'defined-twice',
        );
      owners.set(`${key} ${proof}`, name);
    }
  }
}
