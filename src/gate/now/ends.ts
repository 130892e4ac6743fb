// Certificates and keys that have expired, or will within days: what `dovegate status` and the page say of them.

import { formatEnd, formatTime } from '../../host/words/instants.js';
import { daysWords } from '../../host/words/words.js';
import type { Running, RunningCertificate } from './running.js';

/** A placeholder: the page and `dovegate status` show the time in the reader's own form. */
export function timeOf(ms: number): string {
  return `{${formatTime(ms)}}`;
}

export interface Ending {
  readonly code: 'certificate-expires' | 'key-expires';
  readonly text: string;
  readonly try: string;
  readonly backend?: string;
  readonly about: string;
  readonly isDegrading: boolean;
}

const dayMs = 86_400_000;
const endsWithinMs = 7 * dayMs;
/** `2027-06-30` */
const dayChars = 10;

/** The first to end comes first. `isOver`: those that have ended; else those that will. */
export function findEnds(
  { atMs, certificates, keys }: Pick<Running, 'atMs' | 'certificates' | 'keys'>,
  isOver: boolean,
): readonly Ending[] {
  const isMeant = (leftMs: number): boolean => (isOver ? leftMs <= 0 : leftMs > 0 && leftMs <= endsWithinMs);
  const found: (readonly [leftMs: number, ending: Ending])[] = [];
  for (const { role, name, leftMs, file } of certificates) {
    if (!isMeant(leftMs)) continue;
    const what = certificateNames[role](name);
    found.push([
      leftMs,
      {
        code: 'certificate-expires',
        text: `${what}${file === undefined ? '' : ` (${file})`} ${endOf(atMs, leftMs)}.`,
        try: renewals[role](name),
        ...(role === 'backend' ? { backend: name } : {}),
        about: `${role} ${name}`,
        isDegrading: isOver,
      },
    ]);
  }
  for (const { listener, name, leftMs } of keys) {
    if (leftMs === undefined || !isMeant(leftMs)) continue;
    found.push([
      leftMs,
      {
        code: 'key-expires',
        about: `${listener} ${name}`,
        text: `The key "${name}" of listener "${listener}" ${endOf(atMs, leftMs, true)}.`,
        try: 'make another one (dovegate key new), give its program that, and replace the hash; or remove the key',
        isDegrading: false,
      },
    ]);
  }
  return found.toSorted(([one], [other]) => one - other).map(([, ending]) => ending);
}

type CertificateRole = RunningCertificate['role'];

const renewed = (): string => 'renew it: new files are taken within seconds, without a reload';
const renewals: Readonly<Record<CertificateRole, (name: string) => string>> = {
  listener: renewed,
  'client-ca': renewed,
  backend: (name) => `renew the certificate of Dovecot on ${name}`,
  receiver: (name) => `renew the certificate of the server ${name}, and have it read the file`,
  'receiver-client': () => 'renew it: the next connection shows the new file, without a reload',
};

const certificateNames: Readonly<Record<CertificateRole, (name: string) => string>> = {
  listener: (name) =>
    name.startsWith('(')
      ? `The certificate of ${name.slice(1, -1)}`
      : `The certificate of listener "${name}"`,
  'client-ca': (name) => `An authority of client certificates of listener "${name}"`,
  backend: (name) => `The certificate that ${name} shows`,
  receiver: (name) => `The certificate that the receiver ${name} shows`,
  'receiver-client': (name) => `The certificate that is shown to the receiver ${name}`,
};

/** `isWritten`: a configuration says when it ends, often as a day. */
function endOf(nowMs: number, leftMs: number, isWritten = false): string {
  // Ends are whole seconds; rounding removes what the two readings of the clock differ by.
  const endMs = Math.round((nowMs + leftMs) / 1000) * 1000;
  const written = isWritten ? formatEnd(endMs) : '';
  // A day of the configuration is shown as that day, in every time zone.
  const isDay = written.length === dayChars;
  const at = timeOf(endMs);
  if (leftMs <= 0) return isDay ? `has expired: its last day was ${written}` : `expired at ${at}`;
  const when = `in ${daysWords(leftMs)}`;
  return isDay ? `expires ${when}: its last day is ${written}` : `expires ${when}, at ${at}`;
}
