// Which files are judged, which of them as secrets, and where a problem is told.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSettings } from '../../../src/rules/config/parse-settings.js';
import { inspectModes as steps } from '../../../src/rules/setup/inspect-files.js';
import { memoryFiles, sound } from '../config/sound.js';

const main = '/etc/dovegate/d.yaml';
const files = {
  [main]: `include: [conf.d/*.yaml]\n${sound}`.replace(
    'allow: [quota get]',
    'allow: [quota get]\n    shadow: shadow.yaml',
  ),
  '/etc/dovegate/shadow.yaml': 'users: ["*@example.com"]\nallow: [quota get]\n',
  '/etc/dovegate/conf.d/more.yaml': `audit: { sign_key: s, hmac_key: h, ship: [{ syslog: "a:1", ca: c, certificate: d, key: e }] }
admin: { tcp: "127.0.0.1:9146", token_file: t }
listeners:
  jobs:
    tcp: "127.0.0.1:24246"
    tls: { mode: starttls, certificate: l, key: m, client_ca: n }
    accounts: { job: { certificate_name: job, policy: support } }
`,
};

/** All problems at once. */
const inspectModes = (...args: Parameters<typeof steps>) => [...steps(...args)].flat();

void test('every file is asked for; passwords, keys and tokens are secrets', () => {
  const parsed = parseSettings(main, memoryFiles(files));
  const asked: string[] = [];
  inspectModes(parsed.files, parsed.settings, (path, isSecret) => {
    asked.push(`${path.replace('/etc/dovegate/', '')}${isSecret ? ' secret' : ''}`);
    return undefined;
  });
  // Those of receivers are not the daemon's.
  const inMore = ['s secret', 'h secret', 't secret', 'l', 'm secret', 'n'];
  const expected = [
    'd.yaml',
    'conf.d/more.yaml',
    'shadow.yaml',
    '/etc/p secret',
    ...inMore.map((each) => `conf.d/${each}`),
  ];
  assert.deepEqual(asked.toSorted(), expected.toSorted());
});

void test('told where the file is named, and the first file at its own first line', () => {
  const parsed = parseSettings(main, memoryFiles(files));
  const problems = inspectModes(parsed.files, parsed.settings, (path) =>
    path.endsWith('.yaml') ? { text: `${path} is open`, isDoubtful: path.endsWith('more.yaml') } : undefined,
  );
  assert.deepEqual(
    problems.map((each) => {
      const { file, line } = parsed.placeAt(each.path);
      return [file, line, each.path, each.severity, each.code];
    }),
    [
      [main, 1, '', 'error', 'unsafe-file'],
      [main, 1, 'include[0]', 'warning', 'unsafe-file'],
      [main, 13, 'policies.support.shadow', 'error', 'unsafe-file'],
    ],
  );
});

void test('a configuration with errors is judged by the files that it was read from', () => {
  const parsed = parseSettings(main, memoryFiles({ [main]: 'nonsense: 1\n' }));
  const problems = inspectModes(parsed.files, parsed.settings, () => ({ text: 'open', isDoubtful: false }));
  assert.deepEqual(
    problems.map(({ message }) => message),
    ['open'],
  );
});
