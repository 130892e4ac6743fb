// Goal: a sound file becomes settings; all mistakes of a broken one are told at once, with their source lines.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseSettings } from '../../../src/domain/config/parse-settings.js';
import { formatProblem } from '../../../src/domain/config/problem.js';
import { runTests } from '../../../src/domain/review/replay.js';
import { memoryFiles, parse, told } from './sound.js';

const examplePath = new URL('../../../../config/dovegate.example.yaml', import.meta.url);

void test('the example configuration has no problem, and its tests pass', () => {
  const presets = new URL('../../../../config/presets/', import.meta.url);
  const { settings, problems } = parseSettings('d.yaml', {
    ...memoryFiles({ 'd.yaml': readFileSync(examplePath, 'utf8') }),
    presetText: (name) => readFileSync(new URL(`${name}.yaml`, presets), 'utf8'),
  });
  assert.deepEqual(problems, []);
  assert.deepEqual(
    settings?.listeners.map((listener) => listener.name),
    ['support', 'billing'],
  );
  assert.ok(settings);
  assert.deepEqual(
    runTests(settings, 1_795_176_000_000).map((each) => each.isPassed),
    [true, true, true, true, true],
  );
});

void test('six mistakes are six problems, at their places', () => {
  const text = `version: 1
listeners:
  support: { unix: /run/s.sock, policy: suport }
backends:
  mail1: { adress: "127.0.0.1:1", address: "mail1.example.com:24245", tls: off, password_file: /etc/p }
routes:
  - { users: ["*"], backend: mail2 }
policies:
  support:
    users: ["*@example.com"]
    allow: [quota gte]
limits: { queue_timeout: 30 }
`;
  const result = parse(text);
  assert.equal(result.settings, undefined);
  assert.equal(
    result.problems
      .map((problem) => formatProblem(problem, result.texts.get(problem.file)))
      .join('\n')
      .replaceAll('/etc/dovegate/', ''),
    `d.yaml:3:33: listeners.support.policy: there is no policy "suport"; did you mean support?
      support: { unix: /run/s.sock, policy: suport }
                                    ^
d.yaml:5:12: backends.mail1.adress: "adress" is not a key here; did you mean address?
      mail1: { adress: "127.0.0.1:1", address: "mail1.example.com:24245", tls: off, password_file: /etc/
               ^
d.yaml:5:71: backends.mail1.tls: off would send the password in clear over the network; use starttls, or say allow_plaintext: true as well
    127.0.0.1:1", address: "mail1.example.com:24245", tls: off, password_file: /etc/p }
                                                      ^
d.yaml:7:21: routes[0].backend: there is no backend "mail2"; did you mean mail1?
      - { users: ["*"], backend: mail2 }
                        ^
d.yaml:11:13: policies.support.allow[0]: no Dovecot has a command "quota gte" that can be sent to it; did you mean quota get?
        allow: [quota gte]
                ^
d.yaml:12:11: limits.queue_timeout: must be a duration with its unit, as 500ms, 5s, 10m or 7d
    limits: { queue_timeout: 30 }
              ^`,
  );
});

void test('an empty file says what a configuration needs', () => {
  assert.deepEqual(
    told('').map((line) => line.split(': ')[1]),
    ['listeners', 'backends', 'policies', 'routes'],
  );
});
