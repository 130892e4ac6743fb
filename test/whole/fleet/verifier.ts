// The built `dovegate audit fleet ...` with settings of a test.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Nats } from '../../kit/gate/nats.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import { type Owner, openFolder } from '../../kit/plain/folder.js';

export interface Told {
  readonly kind: string;
  readonly host: string;
  readonly journal?: string;
  readonly seq?: number;
  readonly text: string;
}

export interface Verified {
  readonly exit: number;
  readonly findings: readonly Told[];
  readonly document: Readonly<Record<string, unknown>>;
  /** All that it printed. */
  readonly text: string;
}

export interface Verifier {
  readonly folder: string;
  readonly config: string;
  verify(...flags: readonly string[]): Promise<Verified>;
}

export interface VerifierOptions {
  readonly nats: Nats;
  /** Lines of YAML by the name of the host: `{ silent_after: 1s }`; an empty text: nothing is known of it. */
  readonly hosts: Readonly<Record<string, string>>;
  /** More lines of YAML. */
  readonly more?: string;
  /** Default: a new one. */
  readonly folder?: string;
}

export function openVerifier(owner: Owner, { nats, hosts, more = '', folder }: VerifierOptions): Verifier {
  const place = folder ?? openFolder(owner);
  const config = join(place, 'fleet.yaml');
  const { servers } = nats.settingsOf('verifier');
  const login = Object.entries(nats.loginOf('verifier')).map(([key, file]) => `${key}: ${file}\n`);
  const urls = servers.map(({ host, port }) => `tls://${host}:${port}`).join(',');
  const lines = Object.entries(hosts).map(([name, value]) => `  ${name}: ${value}\n`);
  // No stream of a test takes less than this share.
  const settings = `nats: ${urls}
${login.join('')}state: state
metrics: "off"
share: 1MiB
${more}
hosts:
${lines.join('')}`;
  writeFileSync(config, settings, { mode: 0o600 });
  return {
    folder: place,
    config,
    async verify(...flags) {
      const args = ['audit', 'fleet', 'verify', '--config', config, '--json', ...flags];
      const { exit, stdout, text } = await runWarm(args);
      if (exit > 1) throw new Error(`${args.join(' ')}: exit ${exit}: ${text}`);
      const document: Record<string, unknown> = JSON.parse(stdout.toString());
      const { findings } = document;
      if (!Array.isArray(findings)) throw new Error(`no findings: ${text}`);
      return { exit, findings, document, text };
    },
  };
}
