// A configuration without a problem, in memory; the tests of this folder change parts of it and see what is told.
import assert from 'node:assert/strict';
import { GlobList } from '../../../src/doveadm/names/glob.js';
import { checkBeside } from '../../../src/rules/config/check-beside.js';
import { type ParsedSettings, parseSettings } from '../../../src/rules/config/parse-settings.js';
import { type Finding, formatProblem, placeIn } from '../../../src/rules/config/problem.js';
import type { ReadFiles } from '../../../src/rules/config/read-files.js';
import type { Settings } from '../../../src/rules/config/settings.js';
import type { Policy } from '../../../src/rules/policy/policy.js';

/** Files by path; patterns with one star. */
export function memoryFiles(files: Readonly<Record<string, string>>): ReadFiles {
  return {
    readText(path) {
      const text = files[path];
      if (text === undefined) throw new Error('no such file');
      return text;
    },
    glob(pattern) {
      const glob = new GlobList([pattern]);
      return Object.keys(files).filter((path) => glob.matches(path));
    },
  };
}

/** The smallest configuration without a problem. */
export const sound = `version: 1
listeners:
  support: { unix: /run/s.sock, policy: support }
backends:
  mail1: { address: "127.0.0.1:24245", tls: off, password_file: /etc/p, shared_namespaces: [] }
routes:
  - { users: ["*"], backend: mail1 }
policies:
  support:
    users: ["*@example.com"]
    allow: [quota get]
`;

/** A configuration of one listener, one local backend and these policies (YAML, indented by two). */
export const withPolicies = (policies: string): string => `version: 1
listeners: { support: { unix: /run/dovegate/support.sock, policy: support } }
backends: { mail1: { address: "unix:/run/dovecot/doveadm-server", shared_namespaces: [] } }
routes: [{ users: ["*"], backend: mail1 }]
policies:
${policies}`;

export function parse(text: string): ParsedSettings {
  return parseSettings('/etc/dovegate/d.yaml', memoryFiles({ '/etc/dovegate/d.yaml': text }), {
    checkBeside,
  });
}

/** The settings of a text in which nothing may be wrong. */
export function settingsOf(text: string): Settings {
  const { settings, problems } = parse(text);
  assert.deepEqual(problems, []);
  assert.ok(settings);
  return settings;
}

/** A policy of a text without errors. */
export function policyOf(text: string, name = 'support'): Policy {
  const { settings, problems } = parse(text);
  return settings?.policies.get(name) ?? assert.fail(JSON.stringify(problems));
}

/** Findings at the places that the settings know, as {@link told}. */
export function located({ places }: Settings, findings: readonly Finding[]): string[] {
  return findings.map((each) =>
    formatProblem({ ...each, ...placeIn(places, each.path) }).replace('/etc/dovegate/d.yaml:', ''),
  );
}

/** What is told about a text: `LINE:COLUMN: [warning: ]PATH: MESSAGE` each. */
export function told(text: string): string[] {
  return parse(text).problems.map((problem) => formatProblem(problem).replace('/etc/dovegate/d.yaml:', ''));
}
