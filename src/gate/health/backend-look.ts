// A backend as a client of it sees it: dialled, greeted and logged in to, by the code that the daemon dials with, and closed again without
// a command.

import { basename, dirname, join } from 'node:path';
import { userNameOf } from '../../host/machine/accounts.js';
import { isAccessDenied } from '../../host/machine/denied.js';
import { statOf } from '../../host/machine/files.js';
import { isMountPoint } from '../../host/machine/new-files.js';
import { packaged } from '../../host/machine/packaged.js';
import { systemListFile } from '../../host/machine/system-trust.js';
import { createConnect } from '../../host/net/dial.js';
import { UpstreamFault } from '../../host/ports/faults.js';
import type { Clock } from '../../host/ports/machine.js';
import type { SeenCertificate } from '../../host/ports/transport.js';
import { formatHostPort } from '../../host/words/host-port.js';
import { daysWords } from '../../host/words/words.js';
import { type BackendSettings } from '../../rules/config/settings.js';
import { Secret } from '../../rules/identity/credentials.js';
import { dialTargetOf } from '../../rules/setup/dial-target.js';
import { ownSocketName, socketName } from '../../rules/setup/doveconf.js';
import { type DialTarget, greet, serverOfBackend } from '../pool/dial.js';
import { bad, type Look, ok, warning } from './look.js';

/** Limit for each step of a dial, whatever the configuration says: a person waits. */
const stepMsMax = 5_000;
const warnMs = 14 * 86_400_000;
const afterRestart = 'a restart of Dovecot leaves it without a listener';
const mountFolder = 'mount the folder that it is in';

export interface BackendLookOptions {
  readonly clock: Clock;
  readonly daemonUid: number | undefined;
  /** The command that gives Dovecot the lines of `init`; undefined: there are none. */
  readonly snippetCommand: string | undefined;
}

export async function lookAtBackend(backend: BackendSettings, options: BackendLookOptions): Promise<Look> {
  const { clock } = options;
  const name = `backend ${backend.name}`;
  const owner =
    backend.address.kind === 'unix' ? lookAtSocket(name, backend.address.path, options) : undefined;
  if (owner !== undefined) return owner;
  const { address } = backend;
  const mounted = address.kind === 'unix' && isMountPoint(address.path) ? address.path : undefined;
  let endsMs: number | undefined;
  let target: DialTarget;
  try {
    target = hurried(
      dialTargetOf(backend, (_name, validTo) => {
        endsMs = Date.parse(validTo);
      }),
    );
  } catch (cause) {
    return bad(name, `ca cannot be read: ${cause instanceof Error ? cause.message : ''}`, 'fix backends.ca');
  }
  const startMs = clock.now();
  try {
    const never = new AbortController().signal;
    const { transport, serverMinor } = await greet(target, createConnect(clock), clock, never);
    transport.close('probed');
    const server = serverOfBackend(backend, serverMinor);
    const ms = Math.max(1, Math.round(clock.now() - startMs));
    const list = backend.caFile === undefined ? `, trusted by ${systemListFile() ?? 'no list'}` : '';
    const login = target.tls === 'off' ? '' : ` over TLS${list}`;
    const text = `Dovecot ${server.series} greeted in ${ms} ms${login}`;
    if (server.isNewer) {
      const gets = backend.newer === 'serve' ? 'everything' : 'reads only';
      return warning(
        name,
        `${text}; it is newer than this dovegate knows and gets ${gets} (backends.${backend.name}.newer)`,
        'upgrade dovegate; docs/upgrade.md says what a newer Dovecot gets',
      );
    }
    const leftMs = endsMs === undefined ? Number.POSITIVE_INFINITY : endsMs - clock.wallMs();
    if (leftMs < warnMs) {
      return warning(
        name,
        `${text}; its certificate ends in ${daysWords(leftMs)}`,
        'renew it on the host of Dovecot',
      );
    }
    if (mounted === undefined) return ok(name, text);
    return warning(name, `${text}; ${mounted} is mounted by itself: ${afterRestart}`, mountFolder);
  } catch (fault) {
    if (!(fault instanceof UpstreamFault)) throw fault;
    if (backend.address.kind === 'unix' && isAccessDenied(fault))
      return warning(name, `${backend.address.path} is not for this user`, 'run doctor as root to see it');
    const seen = fault.code === 'tls-failed' ? await lookAtCertificate(backend, clock) : undefined;
    const otherTls = seen === undefined ? await otherTlsOf(backend, fault, clock) : undefined;
    if (otherTls !== undefined)
      return bad(
        name,
        `${fault.message}; it shows its certificate with tls: ${otherTls}`,
        `write tls: ${otherTls}`,
      );
    const shown = seen === undefined ? '' : `; it shows ${describeCertificate(seen)}`;
    const { todo, next } = adviceFor(fault, backend, options);
    if (fault.code === 'dial-refused' && mounted !== undefined)
      return bad(name, `${fault.message}; it is mounted by itself: ${afterRestart}`, mountFolder);
    const place = address.kind === 'unix' ? address.path : formatHostPort(address);
    const at = fault.code === 'dial-refused' ? '' : `${place}: `;
    return bad(name, `${at}${fault.message}${shown}`, todo, next);
  }
}

function hurried(target: DialTarget): DialTarget {
  return {
    ...target,
    connectTimeoutMs: Math.min(target.connectTimeoutMs, stepMsMax),
    greetingTimeoutMs: Math.min(target.greetingTimeoutMs, stepMsMax),
  };
}

/** Root reaches every socket, and the daemon only its own: a dial would not show a wrong owner or mode. */
function lookAtSocket(
  name: string,
  path: string,
  { daemonUid, snippetCommand }: BackendLookOptions,
): Look | undefined {
  const found = statOf(path);
  const inDovecot = 'in the unix_listener of Dovecot, then doveadm reload';
  if (found === undefined) return undefined;
  if (basename(path) === ownSocketName && daemonUid !== 0) {
    const text = `${path} is Dovecot's own, for doveadm alone`;
    const todo = `leave it as it is; give Dovecot another one (service doveadm { unix_listener ${socketName} { mode = 0600 user = ${daemonOf(daemonUid)} } }, then doveadm reload), and write address: unix:${join(dirname(path), socketName)}`;
    return bad(name, text, todo, snippetCommand);
  }
  if (
    daemonUid !== undefined &&
    daemonUid !== 0 &&
    found.uid !== daemonUid &&
    (found.mode & 0o006) !== 0o006
  ) {
    const whose = userNameOf(found.uid) ?? String(found.uid);
    const daemon = daemonOf(daemonUid);
    const text = `${path} belongs to ${whose}, and the daemon runs as ${daemon}`;
    return bad(name, text, `set user = ${daemon} ${inDovecot}`, snippetCommand);
  }
  return undefined;
}

const daemonOf = (uid: number | undefined): string =>
  uid === undefined ? packaged.user : (userNameOf(uid) ?? String(uid));

function adviceFor(
  { code, phase }: UpstreamFault,
  { address }: BackendSettings,
  { snippetCommand }: BackendLookOptions,
): { readonly todo: string; readonly next?: string | undefined } {
  switch (code) {
    case 'dial-refused':
      return address.kind === 'unix'
        ? {
            todo: 'let Dovecot listen there, and look whether it runs',
            next: snippetCommand ?? 'systemctl status dovecot',
          }
        : { todo: 'look at the address, at the firewall, and whether Dovecot runs' };
    case 'dial-timeout':
      return phase === 'dial'
        ? { todo: 'look at the address and the firewall' }
        : { todo: 'Dovecot accepts and says nothing: look at its log and its process limits' };
    case 'tls-failed':
      return { todo: 'fix ca, server_name or the certificate' };
    case 'auth-rejected':
      return address.kind === 'unix'
        ? { todo: 'the unix_listener needs mode = 0600: only then Dovecot asks for no password' }
        : { todo: 'compare password_file with doveadm_password of that Dovecot' };
    case 'version-unsupported':
      return {
        todo: 'look whether "address" is the inet_listener or unix_listener of "service doveadm" (2.3 or 2.4), and whether "series", "release" and "newer" say which Dovecot this is',
      };
    case 'closed-early':
    case 'reply-timeout':
      return { todo: 'look at the log of Dovecot' };
    default:
      return code satisfies never;
  }
}

/** The other kind of TLS, where the server shows a certificate only with that one. */
async function otherTlsOf(
  backend: BackendSettings,
  { phase }: UpstreamFault,
  clock: Clock,
): Promise<BackendSettings['tls'] | undefined> {
  if (backend.address.kind === 'unix' || phase === 'dial') return undefined;
  const tls = backend.tls === 'implicit' ? 'starttls' : 'implicit';
  return (await lookAtCertificate({ ...backend, tls }, clock)) === undefined ? undefined : tls;
}

/** The certificate of a server; undefined: none was shown in time. Nothing is sent to the server, and the certificate is not trusted. */
export async function lookAtCertificate(
  backend: BackendSettings,
  clock: Clock,
): Promise<SeenCertificate | undefined> {
  if (backend.tls === 'off') return undefined;
  let seen: SeenCertificate | undefined;
  const onlyLooks = (found: SeenCertificate): void => {
    seen = found;
  };
  // A STARTTLS server needs a login in the settings; the dial never gets that far.
  const passwords = (): Promise<readonly Secret[]> => Promise.resolve([new Secret(Buffer.from('-'))]);
  // `ca` is ignored: nothing is verified.
  const target = hurried(dialTargetOf({ ...backend, passwordFiles: [] }, () => undefined));
  const looking = { ...target, passwords, demand: { ...target.demand, onlyLooks } };
  try {
    const { transport } = await greet(looking, createConnect(clock), clock, new AbortController().signal);
    transport.close('probed');
  } catch (fault) {
    if (!(fault instanceof UpstreamFault)) throw fault;
  }
  return seen;
}

export function describeCertificate({ names, issuer, validTo }: SeenCertificate): string {
  const one = (text: string): string => text.split('\n').join(', ');
  return `a certificate for ${one(names).replaceAll(/DNS:|IP Address:/g, '')} (issuer ${one(issuer)}, until ${validTo})`;
}
