// What is wrong with the certificates that listeners show, as far as their files say it. It does not know how they are shown.
// The rule: nothing is found at the start of the daemon that could not have been told before.

import { prepareOffer } from '../adapters/net/tls-accept.js';
import type { Problem } from '../domain/config/problem.js';
import type { ListenerSettings } from '../domain/config/settings.js';
import { expirySentence, type NamedTlsFiles, warnMs } from './certificates.js';
import { credentialsFolder } from './inspect-files.js';
import { CertificateFault, readTls } from './read-certificates.js';

/** The files of the listeners that have TLS. */
export function tlsFilesOf(listeners: readonly ListenerSettings[]): readonly NamedTlsFiles[] {
  return listeners.flatMap(({ name, tls }) => {
    if (tls === undefined || tls.mode === 'off') return [];
    const { certificate, key, clientCa } = tls;
    return [{ name, certificate, key, clientCa }];
  });
}

/** The problems of each listener. `credentials` as with inspectFiles: elsewhere than in the service its credentials are not there. */
export function* inspectCertificates(
  listeners: readonly ListenerSettings[],
  nowMs: number,
  credentials: string | undefined,
): Generator<readonly Problem[]> {
  for (const files of tlsFilesOf(listeners)) yield inspectPair(files, listeners, nowMs, credentials);
}

function inspectPair(
  files: NamedTlsFiles,
  listeners: readonly ListenerSettings[],
  nowMs: number,
  credentials: string | undefined,
): readonly Problem[] {
  const place = listeners.find(({ name }) => name === files.name)?.place ?? {
    file: '',
    line: 1,
    column: 1,
  };
  const problem = (key: string, message: string, severity: Problem['severity']): Problem => ({
    ...place,
    path: `listeners.${files.name}.tls.${key}`,
    message,
    severity,
    code: 'bad-certificate',
  });
  const later = [files.certificate, files.key, files.clientCa ?? ''].find(
    (path) => credentials === undefined && path.startsWith(credentialsFolder),
  );
  if (later !== undefined) {
    const message = `${later} is there only while its service runs, so it was not looked at`;
    return [problem('certificate', message, 'warning')];
  }
  try {
    const { concerns, notAfterMs, clientCaNotAfterMs } = readTls(files, prepareOffer);
    const problems = concerns.map(({ key, text }) => problem(key, text, 'warning'));
    for (const [key, role, endMs] of [
      ['certificate', 'listener', notAfterMs],
      ['client_ca', 'client-ca', clientCaNotAfterMs],
    ] as const) {
      const leftMs = (endMs ?? Number.POSITIVE_INFINITY) - nowMs;
      if (leftMs < warnMs) problems.push(problem(key, expirySentence(role, leftMs), 'warning'));
    }
    return problems;
  } catch (fault) {
    if (!(fault instanceof CertificateFault)) throw fault;
    return [problem(fault.key, fault.message, 'error')];
  }
}
