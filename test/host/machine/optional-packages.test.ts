// Goal: the advice for an optional package installs the version that dovegate was tested with. What must not happen: an update of one that
// the messages do not follow.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { installCommand, isInstalled } from '../../../src/host/machine/optional-packages.js';

void test('the advice names the version of package.json, for each optional package', () => {
  const { optionalDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
  const names = ['aws4fetch', 'nodemailer', 'openid-client'] as const;
  assert.deepEqual(Object.keys(optionalDependencies), names);
  for (const name of names) {
    assert.equal(installCommand(name), `npm install ${name}@${optionalDependencies[name]}`);
    assert.ok(isInstalled(name), name);
  }
});
