// A backend, ready to dial: with the text of its authorities, and with its passwords, which are read at each
// dial.

import { readSecretFile, readText } from '../../host/machine/files.js';
import type { Address, TlsDemand } from '../../host/ports/transport.js';
import type { BackendSettings } from '../config/settings.js';
import { Secret } from '../identity/credentials.js';

interface DialTarget {
  readonly name: string;
  readonly address: Address;
  readonly tls: BackendSettings['tls'];
  readonly demand: TlsDemand;
  readonly username: string;
  /** An error: why that file cannot be read. */
  readonly passwords: () => Promise<readonly (Secret | Error)[]>;
  readonly mayAuthenticateInClear: boolean;
  readonly connectTimeoutMs: number;
  readonly greetingTimeoutMs: number;
}

/** `onCertificate` gets the end of each certificate that is shown, accepted or not. Throws if `ca` is unreadable. */
export function dialTargetOf(
  backend: BackendSettings,
  onCertificate: (backend: string, validTo: string) => void,
): DialTarget {
  const { address, caFile } = backend;
  return {
    name: backend.name,
    address,
    tls: backend.tls,
    demand: {
      serverName: backend.serverName,
      ca: caFile === undefined ? undefined : readText(caFile),
      keyPins: backend.keyPins,
      protocols: ['doveadm'],
      onShown: (validTo) => onCertificate(backend.name, validTo),
    },
    username: backend.username,
    passwords: () => Promise.all(backend.passwordFiles.map(readPassword)),
    // The configuration permits `off` only for UNIX sockets, loopback, and with `allow_plaintext`.
    mayAuthenticateInClear: backend.tls === 'off',
    connectTimeoutMs: backend.connectTimeoutMs,
    greetingTimeoutMs: backend.greetingTimeoutMs,
  };
}

async function readPassword(path: string): Promise<Secret | Error> {
  try {
    return new Secret(await readSecretFile(path));
  } catch (fault) {
    return fault instanceof Error ? fault : new Error(String(fault));
  }
}
