// The configuration of the NATS server for a fleet. It is the same for any number of gates: their accounts are given to the running server.

import { bounds } from '../../host/bounds/bounds.js';
import type { FleetSettings } from '../fleet/parse-fleet.js';

const serverFiles = {
  configuration: '/etc/nats-server.conf',
  folder: '/etc/nats',
  trust: '/etc/nats/trust.conf',
  certificate: '/etc/nats/server.pem',
  key: '/etc/nats/server.key',
  store: '/var/lib/nats',
  accounts: '/var/lib/nats/accounts',
} as const;

/** What the streams may take together: with `max_size`, which another gate does not raise, or enough for every gate. */
function streamBytesMax({ maxBytes, shares }: Pick<FleetSettings, 'maxBytes' | 'shares'>): number {
  if (maxBytes !== undefined) return maxBytes + bounds.fleetLogBytes;
  const sum = [...shares.values()].reduce((all, share) => all + share, bounds.fleetLogBytes);
  return Math.max(sum, bounds.fleetServerBytes);
}

export function formatServerConfiguration(
  settings: Pick<FleetSettings, 'servers' | 'maxBytes' | 'shares'>,
): string {
  const { servers } = settings;
  const [{ host, port } = { host: 'nats1', port: 4222 }] = servers;
  const name = /^[a-z][\w-]*/i.exec(host)?.[0] ?? 'nats1';
  return [
    `# ${serverFiles.configuration}: a nats-server for the audit trail of many gates (docs/audit-fleet.md).`,
    `# "dovegate audit fleet init --print" prints it. nats-server -c ${serverFiles.configuration} -t tests it.`,
    '',
    `server_name: "${name}"`,
    `listen: "0.0.0.0:${port}"`,
    '',
    'jetstream {',
    `  store_dir: "${serverFiles.store}"`,
    '  # What the streams may take together. Keep the sum of their shares below the disk.',
    `  max_file: ${Math.ceil(streamBytesMax(settings) / 2 ** 20)}MB`,
    '  max_mem: 64MB',
    '  # Acknowledged means on disk. From 2.10 on; 2.9 does not start with this line.',
    '  # sync_interval: always',
    '}',
    '',
    'tls {',
    `  cert_file: "${serverFiles.certificate}"`,
    `  key_file: "${serverFiles.key}"`,
    '  timeout: 5',
    '}',
    '',
    '# Users have JWTs. The accounts of the gates are here while the server runs: "fleet issue" and "fleet init" push them.',
    `include "${serverFiles.trust.replace('/etc/', '')}"`,
    'resolver {',
    '  type: full',
    `  dir: "${serverFiles.accounts}"`,
    '  allow_delete: false',
    '  # Servers of a cluster compare their accounts.',
    '  interval: "10s"',
    `  limit: ${bounds.fleetAccounts}`,
    '}',
    '',
  ].join('\n');
}

export interface ServerFiles {
  readonly certificate: string;
  readonly key: string;
  /** From `formatServerTrust`. */
  readonly trust: string;
}

/** For root at a server with Debian's nats-server; it holds the private key. Replaces the configuration that nats-server accepted. */
export function formatServerScript(configuration: string, files: ServerFiles): string {
  const { configuration: path, folder, store, accounts } = serverFiles;
  const put = (file: string, text: string): string[] => [
    `put ${file} << 'END OF THE FILE'`,
    text.trimEnd(),
    'END OF THE FILE',
  ];
  return [
    '#!/bin/sh',
    '# Sets up nats-server for the audit trail of many gates. Run it as root on the server. No other gate needs it again.',
    '# It holds the private key of the server. Made by "dovegate audit fleet prepare".',
    'set -eu',
    'put() {',
    '  cat > "$1.new"',
    '  chgrp nats "$1.new"',
    '  chmod 0640 "$1.new"',
    '}',
    'umask 077',
    `install -d -g nats -m 0750 ${folder}`,
    // The test below would make the second one as root.
    ...[store, accounts].map((place) => `install -d -o nats -g nats -m 0700 ${place}`),
    ...put(serverFiles.certificate, files.certificate),
    ...put(serverFiles.key, files.key),
    ...put(serverFiles.trust, files.trust),
    ...[serverFiles.certificate, serverFiles.key, serverFiles.trust].map((file) => `mv ${file}.new ${file}`),
    ...put(path, configuration),
    `nats-server -c ${path}.new -t`,
    `[ -e ${path}.before ] || [ ! -e ${path} ] || cp -p ${path} ${path}.before`,
    `mv ${path}.new ${path}`,
    'systemctl enable nats-server',
    'systemctl restart nats-server',
    '',
  ].join('\n');
}
