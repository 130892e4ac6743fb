// Reads `admin.page`: its sockets, and people with their roles. A setting that could admit the wrong person, or no person, is an error: a
// proof without verification, one that two people share, a person without one.
import { isOfThisMachine } from '../people/identity/peer.js';
import { foldAscii, foldFor, type NameCase } from '../people/identity/user-name.js';
import { type Cursor, checkSocketPath, userPatterns } from './cursor.js';
import { checkCertificateName, checkHash } from './parse-listeners.js';
import type { RawPage, RawPerson } from './schema.js';
import { type HostAndPort, parseHostAndPort, without } from './schema-parts.js';
import type { PagePerson, PageSettings, UnixSocket } from './settings.js';

/** Undefined: no socket is possible, which is reported. */
export function parsePage(raw: RawPage, cursor: Cursor, nameCase: NameCase): PageSettings | undefined {
  const socket = parseSocket(raw, cursor);
  const tcp = parseTcp(raw, cursor);
  const people = Object.entries(raw.people).map(([name, each]) =>
    parsePerson(name, each, raw, cursor, nameCase),
  );
  checkProofs(raw, cursor);
  checkIssuer(raw, cursor);
  if (raw.unix === undefined && raw.tcp === undefined)
    cursor.error([], 'needs unix, tcp, or both', 'missing-key');
  if (socket === undefined && tcp === undefined) return undefined;
  const { tls, oidc, fleetFile, approve } = raw;
  checkApprove(people, approve, cursor);
  return {
    ...(socket !== undefined && { socket }),
    ...(tcp !== undefined && { tcp }),
    ...(tls !== undefined && { tls }),
    ...(oidc !== undefined && { oidc }),
    people,
    approve,
    ...(fleetFile !== undefined && { fleetFile }),
  };
}

function checkApprove(people: readonly PagePerson[], approve: boolean, cursor: Cursor): void {
  const approvers = people.filter(({ roles }) => roles.includes('approve'));
  if (approve && approvers.length === 0)
    cursor.warning(['approve'], 'has no effect: no person has the role approve', 'no-effect');
  else if (approve)
    cursor.warning(
      ['approve'],
      "the page's process vouches for who approves: whoever takes it over can approve requests as these people",
    );
  if (!approve && approvers.length > 0)
    cursor.warning(
      ['people', approvers[0]?.name ?? ''],
      'has the role approve, which has no effect without admin.page.approve: true',
      'no-effect',
    );
}

function parseSocket({ unix, mode, group, people }: RawPage, cursor: Cursor): UnixSocket | undefined {
  if (unix === undefined) {
    for (const key of ['mode', 'group'] as const)
      if (cursor.has(key)) cursor.error([key], 'is for unix, which is not there', 'key-conflict');
    return undefined;
  }
  checkSocketPath(unix, cursor);
  // Connecting needs the permission to write. Clients are checked by name, so an open mode is no problem.
  if ((mode & 0o022) === 0) {
    const message = 'lets only root and the user of the daemon connect; say a group and "0660"';
    cursor.warning(['mode'], message, 'no-effect');
  }
  const all = Object.values(people);
  if (all.length > 0 && !all.some(({ user }) => user !== undefined))
    cursor.warning(['unix'], 'lets nobody in: no person has a user', 'no-effect');
  return { kind: 'unix', path: unix, mode, ...(group !== undefined && { group }) };
}

function parseTcp(raw: RawPage, cursor: Cursor): PageSettings['tcp'] {
  const place = parseTcpPlace(raw, cursor, 9147);
  if (place !== undefined && raw.tls === undefined && !isOfThisMachine(place.host)) {
    const message = `${raw.tcp} can be reached from other machines, so it needs TLS: add tls: { certificate: FILE, key: FILE }`;
    cursor.error(['tcp'], message, 'missing-key');
  }
  return place;
}

function parsePerson(
  name: string,
  person: RawPerson,
  raw: RawPage,
  page: Cursor,
  nameCase: NameCase,
): PagePerson {
  const at = page.down('people', name);
  const { user, certificateName: certificate, passwordHash: hash, oidc } = person;
  const roles = parseRoles(person, at);
  if (!['user', 'certificate_name', 'password_hash', 'oidc'].some((key) => at.isWritten(key))) {
    const message =
      'could never sign in; add user (of this host), certificate_name, password_hash (see dovegate hash-password), or oidc';
    at.error([], message, 'missing-key');
  }
  if (user !== undefined && raw.unix === undefined)
    at.error(['user'], 'needs admin.page.unix: only there the kernel says who asks', 'missing-key');
  for (const key of ['certificate_name', 'password_hash', 'oidc'])
    if (at.has(key) && raw.tcp === undefined)
      at.error([key], 'needs admin.page.tcp: it is shown by a browser', 'missing-key');
  if (certificate !== undefined) {
    checkCertificateName(certificate, at);
    if (raw.tcp !== undefined && raw.tls?.clientCa === undefined) {
      const message = 'needs admin.page.tls.client_ca: the authority whose client certificates count';
      at.error(['certificate_name'], message, 'missing-key');
    }
  }
  if (hash !== undefined) checkHash(hash, at);
  if (oidc !== undefined) {
    if (!page.isWritten('oidc'))
      at.error(['oidc'], 'needs admin.page.oidc: the issuer that says who they are', 'missing-key');
    checkIdentity(person, oidc, at.down('oidc'));
  }
  return {
    name,
    ...without(person, 'role', 'roles', 'users'),
    roles,
    ...(person.users !== undefined && { users: viewOf(roles, at, nameCase) }),
  };
}

/** `role` for one, `roles` for several; the schema demands one of them. Without an error never empty. */
function parseRoles({ role, roles }: RawPerson, at: Cursor): PagePerson['roles'] {
  if (role !== undefined && roles !== undefined)
    at.error(['role'], 'stands beside roles; keep one of them', 'key-conflict');
  if (roles?.length === 0) at.error(['roles'], 'an empty list permits nothing; take the person out');
  return [...new Set(roles ?? (role === undefined ? [] : [role]))];
}

function viewOf(roles: PagePerson['roles'], at: Cursor, nameCase: NameCase): readonly string[] {
  if (!roles.includes('audit') && !roles.includes('approve'))
    at.error(
      ['users'],
      `is for roles audit and approve: "${roles.join('" and "')}" shows no records`,
      'key-conflict',
    );
  const users = userPatterns(at, 'users', foldFor(nameCase));
  if (at.size('users') === 0)
    at.error(['users'], 'an empty list shows nothing; take it out to show the records of all users');
  return users;
}

/** Reports an identity that no claim of the issuer can match, and one that would lend the name of a person to others. */
function checkIdentity(
  { user, certificateName, passwordHash }: RawPerson,
  oidc: NonNullable<RawPerson['oidc']>,
  at: Cursor,
): void {
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
  if (key === 'group' && (user ?? certificateName ?? passwordHash) !== undefined)
    at.error(
      [key],
      'is many people: take out the other proofs, or make a person of their own of them',
      'key-conflict',
    );
}

function checkIssuer({ oidc, people }: RawPage, cursor: Cursor): void {
  if (oidc === undefined) return;
  const at = cursor.down('oidc');
  const url = URL.canParse(oidc.issuer) ? new URL(oidc.issuer) : undefined;
  const isLocal = url?.protocol === 'http:' && isOfThisMachine(url.hostname.replace(/^\[|\]$/g, ''));
  if (url === undefined || (url.protocol !== 'https:' && !isLocal))
    at.error(
      ['issuer'],
      'must be an address with https://, as https://sso.example.com; http on loopback only',
    );
  else if (url.search !== '' || url.hash !== '' || url.username !== '' || url.password !== '')
    at.error(['issuer'], 'must be an address without a name, a password, "?" and "#"');
  else if (url.pathname.includes('/.well-known/'))
    at.error(['issuer'], 'must be the issuer itself, without /.well-known/openid-configuration');
  if (!Object.keys(people).some((name) => cursor.down('people', name).isWritten('oidc')))
    cursor.warning(['oidc'], 'lets nobody in: no person has oidc', 'no-effect');
}

/** A user of this host, a certificate, or an identity at the issuer, belongs to one person. */
function checkProofs({ people, tls }: RawPage, cursor: Cursor): void {
  const owners = new Map<string, string>();
  for (const [name, { user, certificateName, oidc }] of Object.entries(people)) {
    const at = cursor.down('people', name);
    for (const [key, proof, what] of [
      ['user', user, 'a user of this host'],
      ['certificate_name', certificateName, 'a certificate'],
      ['oidc.email', oidc?.email === undefined ? undefined : foldAscii(oidc.email), 'an address'],
      ['oidc.sub', oidc?.sub, 'an id of the issuer'],
      ['oidc.group', oidc?.group, 'a group of the issuer'],
    ] as const) {
      if (proof === undefined) continue;
      const other = owners.get(`${key} ${proof}`);
      if (other !== undefined)
        at.error(key.split('.'), `${proof} is "${other}" already; ${what} is one person`, 'defined-twice');
      owners.set(`${key} ${proof}`, name);
    }
  }
  const needsCa = Object.values(people).some((each) => each.certificateName !== undefined);
  if (tls?.clientCa !== undefined && !needsCa)
    cursor.warning(['tls', 'client_ca'], 'has no effect: no person has a certificate_name', 'no-effect');
}

/** Where a TCP socket listens; undefined: none, or a problem. `port`: an example. */
export function parseTcpPlace(
  raw: { readonly tcp?: string | undefined; readonly tls?: object | undefined },
  cursor: Cursor,
  port: number,
): HostAndPort | undefined {
  if (raw.tcp === undefined) {
    if (raw.tls !== undefined) cursor.error(['tls'], 'is for tcp, which is not there', 'key-conflict');
    return undefined;
  }
  const place = parseHostAndPort(raw.tcp);
  if (place === undefined) cursor.error(['tcp'], `must be ADDRESS:PORT or [IPV6]:PORT, as 127.0.0.1:${port}`);
  return place;
}
