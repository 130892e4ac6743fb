// The certificates of the listeners, read at start and reload and again when their files change, and the warnings before a certificate
// ends: those of listeners, backends and receivers, and those that dovegate shows to receivers. Unusable files change nothing and are
// reported once; a session keeps the certificate of its handshake.

import { type BigIntStats, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Clock, Timer } from '../../host/ports/machine.js';
import type { TlsOffer } from '../../host/ports/transport.js';
import { daysWords } from '../../host/words/words.js';
import type { Settings } from '../config/settings.js';
import {
  CertificateFault,
  parseEnd,
  type ReadTls,
  readEndOf,
  readTls,
  type TlsFiles,
} from './read-certificates.js';

export interface NamedTlsFiles extends TlsFiles {
  readonly name: string;
}

export interface CertificateExpiry {
  /** `client-ca`: the first authority to end. `backend`, `receiver`: the last one shown. `receiver-client`: dovegate's own for it. */
  readonly role: 'listener' | 'client-ca' | 'backend' | 'receiver' | 'receiver-client';
  readonly name: string;
  /** Below 0: it has ended. */
  readonly leftMs: number;
}

export interface NamedCertificate {
  readonly name: string;
  readonly certificate: string;
}

export interface CertificateEvent {
  readonly event: 'certificate-replaced' | 'certificate-kept' | 'certificate-expires';
  readonly level: 'info' | 'warn' | 'error';
  readonly listener?: string;
  readonly backend?: string;
  readonly sink?: string;
  readonly text: string;
}

interface CertificateParts {
  readonly clock: Clock;
  /** Builds the offer, once for each state of the files; throws if OpenSSL refuses them. */
  readonly prepareOffer: (offer: TlsOffer) => unknown;
  readonly report: (event: CertificateEvent) => void;
  /** Called when a check of the files changes a certificate or the authorities; not after a `commit`, whose caller knows. */
  readonly onReplaced: () => void;
  /** The last certificates of receivers, as for `saw`. */
  readonly shownByReceivers?: () => readonly { readonly name: string; readonly validTo: string }[];
}

const lookMs = 10_000;
const dayMs = 86_400_000;
/** Time before its end from which a certificate is reported every day. */
export const warnMs = 14 * dayMs;

interface Shown {
  readonly files: NamedTlsFiles;
  readonly read: ReadTls;
  /** State of the files, taken before they were read. */
  readonly stamp: string;
  readonly trouble?: { readonly stamp: string; readonly text: string; readonly isTold: boolean };
}

interface OwnCertificate {
  readonly path: string;
  readonly stamp: string;
  /** Unix milliseconds; undefined: it is unreadable, which the connection reports. */
  readonly endMs: number | undefined;
}

function readOwn({ certificate }: NamedCertificate): OwnCertificate {
  const stamp = stampNow([certificate]);
  try {
    return { path: certificate, stamp, endMs: readEndOf(certificate) };
  } catch (fault) {
    if (!(fault instanceof CertificateFault)) throw fault;
    return { path: certificate, stamp, endMs: undefined };
  }
}

export type Certificates = ReturnType<typeof createCertificates>;

export function createCertificates(parts: CertificateParts) {
  const { clock, prepareOffer, report, onReplaced, shownByReceivers = () => [] } = parts;
  const shown = new Map<string, Shown>();
  const seen = new Map<string, number>();
  const own = new Map<string, OwnCertificate>();
  /** When the end of each was last reported, by role and name. */
  const toldMs = new Map<string, number>();
  let timer: Timer | undefined;
  let isClosed = false;

  /** The previous offer if the files have the same content: its TLS context is used again. */
  function readAs(files: NamedTlsFiles, before: ReadTls | undefined): ReadTls {
    const read = readTls(files, () => undefined);
    if (before !== undefined && isSame(before.offer, read.offer)) return { ...read, offer: before.offer };
    return readTls(files, prepareOffer);
  }

  async function look(): Promise<void> {
    for (const [name, before] of shown) {
      const stamp = await stampOf(pathsOf(before.files));
      // A reload happened meanwhile.
      if (shown.get(name) !== before) continue;
      const after = lookedAt(before, stamp);
      shown.set(name, after);
      if (after.read.offer !== before.read.offer) onReplaced();
    }
    for (const [name, before] of own) {
      const stamp = await stampOf([before.path]);
      if (own.get(name) !== before || stamp === before.stamp) continue;
      own.set(name, readOwn({ name, certificate: before.path }));
    }
    tellExpiries();
  }

  function lookedAt(before: Shown, stamp: string): Shown {
    const { files, read, trouble } = before;
    const listener = files.name;
    if (stamp === before.stamp) return { files, read, stamp };
    if (trouble?.stamp === stamp) {
      if (trouble.isTold) return before;
      const text = `the old certificate is kept: ${trouble.text}`;
      report({ event: 'certificate-kept', level: 'error', listener, text });
      return { ...before, trouble: { ...trouble, isTold: true } };
    }
    try {
      const next = readAs(files, read);
      if (next.offer !== read.offer) {
        const text = `the files of ${files.certificate} have changed: new sessions get what they hold now`;
        report({ event: 'certificate-replaced', level: 'info', listener, text });
      }
      return { files, read: next, stamp };
    } catch (fault) {
      if (!(fault instanceof CertificateFault)) throw fault;
      return { ...before, trouble: { stamp, text: fault.message, isTold: false } };
    }
  }

  function expiries(): CertificateExpiry[] {
    const now = clock.wallMs();
    const ends: (readonly [CertificateExpiry['role'], string, number | undefined])[] = [
      ...[...shown].map(([name, { read }]) => ['listener', name, read.notAfterMs] as const),
      ...[...shown].map(([name, { read }]) => ['client-ca', name, read.clientCaNotAfterMs] as const),
      ...[...seen].map(([name, endMs]) => ['backend', name, endMs] as const),
      ...shownByReceivers().map(({ name, validTo }) => ['receiver', name, parseEnd(validTo)] as const),
      ...[...own].map(([name, { endMs }]) => ['receiver-client', name, endMs] as const),
    ];
    return ends.flatMap(([role, name, endMs]) =>
      endMs === undefined ? [] : [{ role, name, leftMs: endMs - now }],
    );
  }

  function tellExpiries(): void {
    for (const { role, name, leftMs } of expiries()) {
      const key = `${role} ${name}`;
      if (leftMs >= warnMs) {
        toldMs.delete(key);
        continue;
      }
      const last = toldMs.get(key);
      if (last !== undefined && clock.now() - last < dayMs) continue;
      toldMs.set(key, clock.now());
      const level = leftMs < 0 ? 'error' : 'warn';
      const whose = { [keyOf[role]]: name };
      report({ event: 'certificate-expires', level, ...whose, text: expirySentence(role, leftMs) });
    }
  }

  function arm(): void {
    const isIdle = shown.size + seen.size + own.size === 0 && parts.shownByReceivers === undefined;
    if (isClosed || timer !== undefined || isIdle) return;
    timer = clock.setTimer(lookMs, () => {
      void look().finally(() => {
        timer = undefined;
        arm();
      });
    });
  }

  return {
    /** Reads all files, and forgets other backends. Nothing changes before `commit`. Throws a CertificateFault. */
    prepare(
      listeners: readonly NamedTlsFiles[],
      backends: readonly string[],
      receivers: readonly NamedCertificate[] = [],
    ): { commit(): void } {
      const next = listeners.map((files): Shown => {
        const before = shown.get(files.name);
        const stamp = stampNow(pathsOf(files));
        return { files, read: readAs(files, before?.read), stamp };
      });
      return {
        commit() {
          shown.clear();
          for (const each of next) shown.set(each.files.name, each);
          own.clear();
          for (const each of receivers) own.set(each.name, readOwn(each));
          for (const name of seen.keys()) if (!backends.includes(name)) seen.delete(name);
          tellExpiries();
          arm();
        },
      };
    },
    /** A backend showed a certificate that ends at `validTo`: `Nov 20 09:05:00 2026 GMT`. */
    saw(backend: string, validTo: string): void {
      seen.set(backend, parseEnd(validTo));
      arm();
    },
    offerOf: (listener: string): TlsOffer | undefined => shown.get(listener)?.read.offer,
    expiries,
    close(): void {
      isClosed = true;
      timer?.cancel();
    },
  };
}

const keyOf = {
  listener: 'listener',
  'client-ca': 'listener',
  backend: 'backend',
  receiver: 'sink',
  'receiver-client': 'sink',
} as const;

const names: Readonly<Partial<Record<CertificateExpiry['role'], string>>> = {
  'client-ca': 'an authority of client certificates',
  receiver: 'the certificate of the server',
  'receiver-client': 'the certificate that is shown to the server',
};

export function expirySentence(role: CertificateExpiry['role'], leftMs: number): string {
  const what = names[role] ?? 'the certificate';
  if (leftMs < 0) return `${what} has expired`;
  return `${what} expires in ${daysWords(leftMs)}`;
}

function isSame(one: TlsOffer, other: TlsOffer): boolean {
  return (
    one.certificate.chain === other.certificate.chain &&
    one.certificate.key === other.certificate.key &&
    one.clientCa?.join() === other.clientCa?.join() &&
    one.protocols.join() === other.protocols.join()
  );
}

/** Changes when a file is written or replaced, also behind links; a missing file has a stamp too. */
async function stampOf(paths: readonly string[]): Promise<string> {
  const stamps = paths.map((path) => stat(path, { bigint: true }).then(textOf, codeOf));
  return (await Promise.all(stamps)).join('\n');
}

/** The same synchronously: a reload prepares everything in one step. */
function stampNow(paths: readonly string[]): string {
  const stamps = paths.map((path) => {
    try {
      return textOf(statSync(path, { bigint: true }));
    } catch (cause) {
      return codeOf(cause);
    }
  });
  return stamps.join('\n');
}

function pathsOf({ certificate, key, clientCa }: TlsFiles): string[] {
  return [certificate, key, ...(clientCa === undefined ? [] : [clientCa])];
}

function textOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(' ');
}

function codeOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable';
}

/** The name of the admin endpoints beside the listeners, which cannot have this name. */
export const adminName = '(admin)';

export const pageName = '(page)';

export function receiverCertificatesOf(ship: Settings['audit']['ship']): readonly NamedCertificate[] {
  return ship.flatMap(({ name, client }) =>
    client === undefined ? [] : [{ name, certificate: client.certificateFile }],
  );
}

export function tlsFilesOf({
  listeners,
  admin,
}: Pick<Settings, 'listeners' | 'admin'>): readonly NamedTlsFiles[] {
  const ofListeners: readonly NamedTlsFiles[] = listeners.flatMap(({ name, protocol, tls }) => {
    if (tls === undefined || tls.mode === 'off') return [];
    const { certificate, key, clientCa } = tls;
    return [{ name, certificate, key, clientCa, ...(protocol === 'http' && { alpn: 'http/1.1' }) }];
  });
  const { tls } = admin ?? {};
  if (tls === undefined) return ofListeners;
  return [...ofListeners, { name: adminName, ...tls, clientCa: undefined, alpn: 'http/1.1' }];
}

export function pageTlsFilesOf({ admin }: Partial<Pick<Settings, 'admin'>>): readonly NamedTlsFiles[] {
  const tls = admin?.page?.tls;
  return tls === undefined ? [] : [{ name: pageName, clientCa: undefined, ...tls, alpn: 'http/1.1' }];
}
