// The complete configuration of the NATS server for a fleet: the server accepts it as printed.

import type { FleetSettings } from '../../domain/config/parse-fleet.js';

const serverFiles = {
  configuration: '/etc/nats-server.conf',
  folder: '/etc/nats',
  authority: '/etc/nats/ca.pem',
  certificate: '/etc/nats/server.pem',
  key: '/etc/nats/server.key',
  store: '/var/lib/nats',
} as const;

/** `streamBytes`: the limit of the streams together; undefined: no limit. `rights`: the accounts from `formatRights`. */
export function formatServerConfiguration(
  { servers }: Pick<FleetSettings, 'servers'>,
  streamBytes: number | undefined,
  rights: string,
): string {
  const [{ host, port } = { host: 'nats1', port: 4222 }] = servers;
  const name = /^[a-z][\w-]*/i.exec(host)?.[0] ?? 'nats1';
  const size =
    streamBytes === undefined
      ? []
      : ['  # What the streams may take together.', `  max_file: ${Math.ceil(streamBytes / 2 ** 20)}MB`];
  return [
    `# ${serverFiles.configuration}: a nats-server for the audit trail of many gates (docs/audit-fleet.md).`,
    `# "dovegate audit fleet init --print" prints it. nats-server -c ${serverFiles.configuration} -t tests it.`,
    '',
    `server_name: "${name}"`,
    `listen: "0.0.0.0:${port}"`,
    '',
    'jetstream {',
    `  store_dir: "${serverFiles.store}"`,
    ...size,
    '  max_mem: 64MB',
    '  # Acknowledged means on disk. From 2.10 on; 2.9 does not start with this line.',
    '  # sync_interval: always',
    '}',
    '',
    'tls {',
    `  cert_file: "${serverFiles.certificate}"`,
    `  key_file: "${serverFiles.key}"`,
    `  ca_file: "${serverFiles.authority}"`,
    '  # A client needs a certificate of that authority; its DNS name is the user below.',
    '  verify_and_map: true',
    '  timeout: 5',
    '}',
    '',
    rights,
    '',
  ].join('\n');
}

export interface ServerPems {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

/** For root at a server with Debian's nats-server; it holds the private key. Replaces the configuration that nats-server accepted. */
export function formatServerScript(configuration: string, pems: ServerPems): string {
  const { configuration: path, folder, store } = serverFiles;
  const put = (file: string, text: string): string[] => [
    `put ${file} << 'END OF THE FILE'`,
    text.trimEnd(),
    'END OF THE FILE',
  ];
  return [
    '#!/bin/sh',
    '# Sets up nats-server for the audit trail of many gates. Run it as root on the server; run it again after each change.',
    '# It holds the private key of the server. Made by "dovegate audit fleet prepare".',
    'set -eu',
    'put() {',
    '  cat > "$1.new"',
    '  chgrp nats "$1.new"',
    '  chmod 0640 "$1.new"',
    '}',
    'umask 077',
    `install -d -g nats -m 0750 ${folder}`,
    `install -d -o nats -g nats -m 0700 ${store}`,
    ...put(serverFiles.authority, pems.authority),
    ...put(serverFiles.certificate, pems.certificate),
    ...put(serverFiles.key, pems.key),
    ...[serverFiles.authority, serverFiles.certificate, serverFiles.key].map(
      (file) => `mv ${file}.new ${file}`,
    ),
    ...put(path, configuration),
    `nats-server -c ${path}.new -t`,
    `[ -e ${path}.before ] || [ ! -e ${path} ] || cp -p ${path} ${path}.before`,
    `mv ${path}.new ${path}`,
    'systemctl enable nats-server',
    'systemctl restart nats-server',
    '',
  ].join('\n');
}
