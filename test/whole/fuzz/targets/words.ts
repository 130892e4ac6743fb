// Command lines as the catalog and policies read them, and configuration files.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { allSeries, commandsOf, createCommandSpotter } from '../../../../src/doveadm/commands/catalog.js';
import { inputOf } from '../../../../src/doveadm/commands/parse.js';
import { canonicalArguments } from '../../../../src/doveadm/meaning/canonical.js';
import { parseCommandLine } from '../../../../src/doveadm/protocol/command.js';
import { parseFleetSettings } from '../../../../src/evidence/fleet/parse-fleet.js';
import { WireFault } from '../../../../src/host/ports/faults.js';
import { parseClientSettings } from '../../../../src/rules/config/parse-client.js';
import { parseSettings } from '../../../../src/rules/config/parse-settings.js';
import { judge } from '../../../../src/rules/policy/judge.js';
import { listed } from '../../../kit/plain/listed.js';
import { projectRoot } from '../../../kit/plain/root.js';
import { bytesOf, type Target } from '../campaign/target.js';
import { context } from './http-subjects.js';
import { corpora } from './wire-subjects.js';

const searchWords =
  'ALL NOT OR ( ) MAILBOX MAILBOX-GUID GUID UID 1:* 1,2:3 SEEN FLAGGED KEYWORD BEFORE SINCE SAVEDBEFORE 2026-11-20 2weeks LARGER 10M HEADER FROM TEXT BODY X-SIZE INTHREAD REFS'.split(
    ' ',
  );
const optionWords =
  '-- -A -u -F -S -m -s -f -r -7 -a --user --mailbox --socket=/x -uA --a - "" * INBOX Trash/* text.utf8 body all messages vsize guid alice@example.org tcp:host:1 remote: \u0000'.split(
    ' ',
  );
const commandNames = [...new Set(allSeries.flatMap((series) => commandsOf(series).map(({ name }) => name)))];

/** Reads, judges, and reads the canonical form again: it must mean itself. */
function readLine(bytes: Buffer): string {
  const line = parseCommandLine(bytes, 64);
  if (line.kind !== 'command') return line.kind;
  const told = allSeries.map((series) => {
    const judgement = judge(line.command, [series], context);
    if (judgement.kind === 'unparsable') return judgement.code;
    const { kind } = judgement.decision;
    const { parsed } = judgement.attempt;
    const args = canonicalArguments(parsed);
    const words = [...parsed.command.name.split(' '), ...args];
    const again = judge({ ...line.command, words }, [series], context);
    assert.equal(again.kind, 'judged', `the canonical form is not read: ${JSON.stringify(words)}`);
    if (again.kind === 'judged') {
      assert.deepEqual(canonicalArguments(again.attempt.parsed), args);
      assert.equal(again.decision.kind, kind);
    }
    return `${kind} ${parsed.command.name} ${inputOf(parsed.command, parsed)}`;
  });
  return told.join(', ');
}

const argumentsTarget: Target = {
  name: 'arguments',
  isWhole: true,
  what: 'a client: words of a command, as a server of each series reads them; the canonical form means itself',
  bytesMax: 1024,
  seeds: () => [
    ...(corpora['command'] ?? []),
    ...commandNames.map((name) => Buffer.from(`\talice@example.org\t${name}\t-u\tbob\tINBOX`)),
    ...searchWords.map((word) => Buffer.from(`\talice\tsearch\t${word}\t1\tMAILBOX\tINBOX`)),
  ],
  tokens: bytesOf([
    ...[...searchWords, ...optionWords].map((word) => `\t${word}`),
    ...commandNames.map((name) => `\t${name}`),
    ...listed('\t|=|-|D|v|\t\t|\x01t|\x010|\xc3\xa9'),
  ]),
  run(chunks) {
    try {
      return readLine(Buffer.concat(chunks));
    } catch (error) {
      if (error instanceof WireFault) return `fault ${error.code}`;
      throw error;
    }
  },
  kind: (answer) => answer,
};

const spotter: Target = {
  name: 'client-spotter',
  what: 'a client: commands hidden in a text, wherever a transport cuts it',
  bytesMax: 512,
  seeds: () => commandNames.map((name) => Buffer.from(`Subject: x\n\talice\t${name}\tx\n\t\t\t${name}`)),
  tokens: bytesOf([...commandNames, ' ', '\t', '\n', '\t\t', '\x01', '\r', '\0']),
  run(chunks) {
    const spotting = createCommandSpotter();
    return chunks.some((chunk) => spotting.spots(chunk)) ? 'spots' : 'no';
  },
  kind: (answer) => answer,
};

const folder = projectRoot;
const presets = new Map(
  readdirSync(new URL('config/presets/', folder)).map((file) => [
    file.replace(/\.yaml$/, ''),
    readFileSync(new URL(`config/presets/${file}`, folder), 'utf8'),
  ]),
);
const begin = `version: 1
listeners: { support: { unix: /run/s, policy: support, mode: "0660" } }
backends: { mail: { address: "unix:/run/d", shared_namespaces: [] } }
routes: [{ users: ["*@example.com"], backend: mail }]
`;
/** Without a preset most inputs are read several times as fast. */
const configurationSeeds = [
  `${begin}policies: { support: { users: ["*"], allow: [quota get] } }\n`,
  `${begin}policies:
  support:
    users: ["*@example.com"]
    except: [ceo@example.com]
    allow: [{ command: fetch, where: { query: { mailbox: [INBOX] } }, content: true }]
    deny: [{ command: who, users: ["x*"] }]
    tests: [{ allow: "quota get", user: a@example.com }]
`,
  `${begin}policies: { support: { users: ["*"], use: [{ preset: presets/support-desk }] } }\n`,
];
const client = 'socket: /run/dovegate/s\ntimeout: 5s\n';

const files = {
  readText: (path: string): string => {
    throw new Error(`${path}: there is none`);
  },
  glob: () => [],
  presetText: (name: string) => presets.get(name),
};

function configuration(
  name: string,
  what: string,
  seeds: readonly string[],
  run: (text: string) => string,
): Target {
  return {
    name,
    what,
    isWhole: true,
    isSlow: true,
    bytesMax: 1500,
    seeds: () => seeds.map((text) => Buffer.from(text)),
    tokens: bytesOf([
      ...listed(
        '\n|\n  |: |- |[|]|{|}|,|"|\'|>|&a |*a|<<: *a|!!|!!map|#|---\n|null|true|~|0|-1|1e9|0x10|5s',
        '10MiB|0660|*@example.com|${x}|{{ x }}|\t|\0|\xef\xbb\xbf|listeners|backends|policies|routes',
        'allow|deny|users|where|unix|tcp|tls|include|limits|audit|__proto__|constructor|regex|preset',
        'with|tests|(a+)+$|[[[[[[[[|{a: {a: {a: ',
      ),
      '|',
    ]),
    run: (chunks) => run(Buffer.concat(chunks).toString()),
    kind: (answer) => answer,
  };
}

function problemsOf(
  problems: readonly { readonly code: string; readonly path: string; readonly message: string }[],
): string {
  for (const { message } of problems) assert.ok(message !== '' && message.length < 20_000);
  return [...new Set(problems.map(({ code }) => code))].toSorted().join(' ');
}

const configurations: readonly Target[] = [
  configuration(
    'configuration',
    'an operator: dovegate.yaml; settings, or problems with their places',
    configurationSeeds,
    (text) => {
      const { settings, problems } = parseSettings('/etc/dovegate/dovegate.yaml', {
        ...files,
        readText: (path) => (path.endsWith('/dovegate.yaml') ? text : files.readText(path)),
      });
      assert.ok(settings !== undefined || problems.length > 0, 'no settings, and no problem either');
      return `${settings === undefined ? 'none' : 'some'} ${problemsOf(problems)}`;
    },
  ),
  configuration(
    'fleet-configuration',
    'an operator: fleet.yaml',
    [readFileSync(new URL('examples/fleet.yaml', folder), 'utf8')],
    (text) => {
      const none = (): undefined => undefined;
      const read = { readText: () => 'x', whyUnreadable: none, whyUnsafe: none, isMissing: () => false };
      const { settings, problems } = parseFleetSettings('/etc/dovegate/fleet.yaml', text, read);
      assert.ok(settings !== undefined || problems.length > 0, 'no settings, and no problem either');
      return `${settings === undefined ? 'none' : 'some'} ${problemsOf(problems)}`;
    },
  ),
  configuration('client-configuration', 'a user: client.yaml', [client], (text) => {
    const { settings, problems } = parseClientSettings('/home/a/client.yaml', text);
    assert.ok(settings !== undefined || problems.length > 0, 'no settings, and no problem either');
    return `${settings === undefined ? 'none' : 'some'} ${problems.length}`;
  }),
];

export const wordTargets: readonly Target[] = [argumentsTarget, spotter, ...configurations];
