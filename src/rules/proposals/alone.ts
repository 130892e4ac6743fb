// Reads policies alone: candidates, texts of the page, trials of a rule. They are parsed as the included file of a configuration that has
// nothing else, so they need no other file and can read none.

import { parse } from 'yaml';
import { asObject } from '../../host/values/values.js';
import { checkBeside } from '../config/check-beside.js';
import { type ParsedSettings, parseSettings } from '../config/parse-settings.js';
import type { ReadFiles } from '../config/read-files.js';
import { formatValue } from './policy-text.js';

/** The policies that a text has, as far as it is YAML. */
export function policyNamesIn(yaml: string): string[] {
  try {
    return Object.keys(asObject(asObject(parse(yaml))?.['policies']) ?? {});
  } catch {
    return [];
  }
}

const aroundFile = '/trial/dovegate.yaml';

/** `file`: its name in problems. `presetText`: of the shipped preset of that name. `catalog`: files with commands, by their paths. */
export interface Alone {
  readonly file: string;
  readonly yaml: string;
  /** A policy that it must have. */
  readonly policy: string;
  /** The section `mail_users`. */
  readonly mailUsers: Readonly<Record<string, unknown>>;
  readonly presetText?: (name: string) => string | undefined;
  readonly catalog?: ReadonlyMap<string, string>;
}

export function parseAlone(alone: Alone): ParsedSettings {
  const { file, yaml, policy, mailUsers, presetText, catalog = new Map() } = alone;
  const around = [
    'version: 1',
    `include: [${formatValue(file)}]`,
    `listeners: { trial: { unix: /trial, policy: ${formatValue(policy)} } }`,
    'backends: { trial: { address: "unix:/trial" } }',
    'routes: [{ users: ["*"], backend: trial }]',
    `mail_users: ${JSON.stringify(mailUsers)}`,
    ...(catalog.size === 0 ? [] : [`catalog: ${formatValue([...catalog.keys()])}`]),
  ].join('\n');
  const read: ReadFiles = {
    readText(path) {
      if (path === aroundFile) return around;
      const text = path === file ? yaml : catalog.get(path);
      if (text !== undefined) return text;
      throw new Error('other files are not read here; dovegate check reads them');
    },
    glob: () => [],
    ...(presetText && { presetText }),
  };
  return parseSettings(aroundFile, read, { isPart: true, checkBeside });
}
