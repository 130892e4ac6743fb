// Reads `tls` and `accounts`: how clients that connect by TCP prove who they are. Whatever could let in the wrong client is an error: a
// certificate that nothing verifies, one that always fits two accounts, an account without a proof.
import { parsePasswordHash } from '../identity/credentials.js';
import { foldAscii } from '../identity/user-name.js';
import type { Cursor } from './cursor.js';
import type { RawListener } from './schema.js';
import type { AccountSettings, ListenerTls } from './settings.js';
import { parsePins } from './spellings.js';

/** TLS of a TCP socket; undefined: something is missing, which is told. `at` is the listener. */
export function parseTls(raw: RawListener, at: Cursor): ListenerTls | undefined {
  if (raw.tls === undefined) {
    at.error(
      [],
      'needs TLS: add tls: { certificate: FILE, key: FILE }; without it passwords would travel in clear',
    );
    return undefined;
  }
  const here = at.down('tls');
  const { mode } = raw.tls;
  if (mode === 'off') {
    for (const key of ['certificate', 'key', 'client_ca'] as const) {
      if (raw.tls[key] !== undefined) here.warning([key], 'has no effect without TLS', 'no-effect');
    }
    return { mode };
  }
  const certificate = here.file('certificate');
  const key = here.file('key');
  if (certificate === undefined)
    here.error([], 'needs a certificate; add certificate: FILE (PEM, with its chain)', 'missing-key');
  if (key === undefined) here.error([], 'needs the key of the certificate; add key: FILE', 'missing-key');
  if (certificate === undefined || key === undefined) return undefined;
  return { mode, certificate, key, clientCa: here.file('client_ca') };
}

/** The accounts of a TCP socket; empty where something is wrong, which is told. `at` is the listener. */
export function parseAccounts(raw: RawListener, tls: ListenerTls | undefined, at: Cursor): AccountSettings[] {
  const entries = Object.entries(raw.accounts ?? {});
  if (entries.length === 0) {
    at.error(
      raw.accounts === undefined ? [] : ['accounts'],
      'needs accounts: nobody else can log in by TCP',
      'missing-key',
    );
    return [];
  }
  const accounts = entries.map(([name, each]) => parseAccount(name, each, tls, at.down('accounts', name)));
  checkCertificates(accounts, at);
  const isAsked = tls !== undefined && tls.mode !== 'off' && tls.clientCa !== undefined;
  if (isAsked && !entries.some(([, { certificate_name, key_pins }]) => certificate_name ?? key_pins)) {
    at.warning(
      ['tls', 'client_ca'],
      'has no effect: no account has a certificate_name or key_pins',
      'no-effect',
    );
  }
  return accounts;
}

type RawAccount = NonNullable<RawListener['accounts']>[string];

function parseAccount(
  name: string,
  raw: RawAccount,
  tls: ListenerTls | undefined,
  at: Cursor,
): AccountSettings {
  const keyPins = parsePins(at);
  if (raw.password_hash !== undefined) checkHash(raw.password_hash, at);
  for (const key of ['certificate_name', 'key_pins'] as const) {
    if (raw[key] === undefined || tls === undefined) continue;
    if (tls.mode === 'off') at.error([key], 'needs TLS: without it no certificate is shown');
    else if (tls.clientCa === undefined) {
      at.error([key], 'needs tls.client_ca: the authority whose client certificates count', 'missing-key');
    }
  }
  if ([raw.password_hash, raw.certificate_name, raw.key_pins].every((each) => each === undefined)) {
    at.error([], 'could never log in; add password_hash (see dovegate hash-password), or certificate_name');
  }
  if (raw.certificate_name !== undefined && /[\s\p{Cc}*]/u.test(raw.certificate_name)) {
    at.error(['certificate_name'], 'must be one name as it stands in the certificate, as backup.example.com');
  }
  return {
    name,
    policy: raw.policy,
    passwordHash: raw.password_hash,
    certificateName: raw.certificate_name === undefined ? undefined : foldAscii(raw.certificate_name),
    keyPins,
    place: at.place(),
  };
}

/** Work below which guesses against a stolen file are cheap, in units of N * r * p. */
const workMin = 2 ** 14 * 8;

function checkHash(text: string, at: Cursor): void {
  const hash = parsePasswordHash(text);
  if (typeof hash === 'string') return at.error(['password_hash'], hash);
  const { n, r, p } = hash.cost;
  if (n * r * p >= workMin) return;
  at.warning(['password_hash'], 'is cheap to guess against; make a new one with dovegate hash-password');
}

/** A certificate must be of one account at most. What only certificates that nobody has seen yet would show is judged at the login. */
function checkCertificates(accounts: readonly AccountSettings[], at: Cursor): void {
  const proving = accounts.filter((each) => each.certificateName !== undefined || each.keyPins.length > 0);
  for (const [index, one] of proving.entries()) {
    const other = proving.slice(0, index).find((each) => isNeverApart(one, each));
    if (other === undefined) continue;
    const isName = one.certificateName !== undefined && one.certificateName === other.certificateName;
    const key = isName ? 'certificate_name' : 'key_pins';
    at.error(
      ['accounts', one.name, key],
      `is the certificate of account ${other.name} already`,
      'defined-twice',
    );
  }
}

/**
 * Whether there are certificates of one of the two that are always the other's too: by its name, or by a key under which the other
 * one asks for no other name.
 */
function isNeverApart(one: AccountSettings, other: AccountSettings): boolean {
  const isSameName = one.certificateName === other.certificateName;
  if (one.keyPins.length === 0 || other.keyPins.length === 0) return isSameName;
  const isAnyName = one.certificateName === undefined || other.certificateName === undefined;
  return (isSameName || isAnyName) && one.keyPins.some((pin) => other.keyPins.includes(pin));
}
