import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseClientSettings } from '../../../src/domain/config/parse-settings.js';

void test('a socket, or an address with who we are there', () => {
  const one = parseClientSettings('/etc/dovegate/client.yaml', 'socket: run/support.sock\n');
  assert.equal(one.settings?.at, '/etc/dovegate/run/support.sock');
  assert.equal(one.settings?.tls, 'starttls');
  const other = parseClientSettings(
    '/etc/dovegate/client.yaml',
    'address: mail.example.com:24246\ntls: implicit\nca: ca.pem\naccount: migrator\npassword_file: /run/secret\n',
  );
  assert.deepEqual(other.problems, []);
  assert.equal(other.settings?.at, 'mail.example.com:24246');
  assert.equal(other.settings?.caFile, '/etc/dovegate/ca.pem');
  assert.equal(other.settings?.passwordFile, '/run/secret');
});

void test('what is wrong is told with its place', () => {
  const wrong: [string, RegExp][] = [
    ['sockte: x\n', /client\.yaml:1:1: .*socket/],
    ['tls: maybe\n', /client\.yaml:1:1: tls: .*starttls/],
    ['socket: a\naddress: b:1\n', /both/],
    ['socket: [\n', /client\.yaml:/],
  ];
  for (const [text, expected] of wrong) {
    const { settings, problems } = parseClientSettings('client.yaml', text);
    assert.equal(settings, undefined, text);
    assert.match(problems.join('\n'), expected);
  }
});
