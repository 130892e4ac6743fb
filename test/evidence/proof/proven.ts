// The settings that statements are proved of, at one time.
import assert from 'node:assert/strict';
import type { Settings } from '../../../src/rules/config/settings.js';
import { parse } from '../../rules/config/sound.js';
import { configuration, others, wideNames, widePolicies } from './statements.js';

export const nowMs = Date.parse('2026-11-29T00:00:00Z');
export const options = { nowMs, isOver: () => false };
export const backend = '"unix:/run/dovecot/doveadm-server"';

export function settingsOf(text: string): Settings {
  const { settings, problems } = parse(text);
  return settings ?? assert.fail(JSON.stringify(problems));
}

/** The policies of statements.ts, or others. */
export const settingsWith = (more?: string, policies?: string, names?: readonly string[]): Settings =>
  settingsOf(configuration((name) => `/run/${name}.sock`, backend, more, policies, names));

export const main = settingsWith(others.replace('127.0.0.1:0', '127.0.0.1:8080'));
export const wide = settingsWith('', widePolicies, wideNames);
