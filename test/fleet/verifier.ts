// The built `dovegate audit fleet ...` with settings of a test.

import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { builtProgram, runDovegate } from '../kit/daemon.js';
import { type Owner, openFolder } from '../kit/folder.js';
import type { Nats } from '../kit/nats.js';

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
  /** `audit fleet watch`, until the test ends; its lines of JSON as they come. */
  watch(): Promise<readonly Readonly<Record<string, unknown>>[]>;
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
  const { servers, caFile, client } = nats.settingsOf('verifier');
  const urls = servers.map(({ host, port }) => `tls://${host}:${port}`).join(',');
  const lines = Object.entries(hosts).map(([name, value]) => `  ${name}: ${value}\n`);
  const settings = `nats: ${urls}
ca: ${caFile ?? ''}
certificate: ${client?.certificateFile ?? ''}
key: ${client?.keyFile ?? ''}
state: state
metrics: "off"
${more}
hosts:
${lines.join('')}`;
  writeFileSync(config, settings, { mode: 0o600 });
  return {
    folder: place,
    config,
    async verify(...flags) {
      const args = ['audit', 'fleet', 'verify', '--config', config, '--json', ...flags];
      const { exit, stdout, text } = await runDovegate(args, { timeoutMs: 30 * 60_000 });
      if (exit > 1) throw new Error(`${args.join(' ')}: exit ${exit}: ${text}`);
      const document: Record<string, unknown> = JSON.parse(stdout.toString());
      const { findings } = document;
      if (!Array.isArray(findings)) throw new Error(`no findings: ${text}`);
      return { exit, findings, document, text };
    },
    async watch() {
      const child = spawn(process.execPath, [builtProgram, 'audit', 'fleet', 'watch', '--config', config], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      owner.after(
        () =>
          new Promise<void>((resolve) => {
            if (child.exitCode !== null || child.signalCode !== null) return resolve();
            child.once('close', () => resolve());
            child.kill('SIGTERM');
          }),
      );
      const found: Readonly<Record<string, unknown>>[] = [];
      let rest = '';
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        const parts = (rest + chunk).split('\n');
        rest = parts.pop() ?? '';
        for (const line of parts) if (line !== '') found.push(JSON.parse(line));
      });
      return found;
    },
  };
}
