// A policy as the journal keeps it, read again: the settings of a gate that has nothing but this policy, at a listener `trial`.

import { parse, stringify } from 'yaml';
import { asObject, asTexts, type StoredRecord } from '../../host/values/values.js';
import type { Settings } from '../../rules/config/settings.js';
import { parseAlone } from '../../rules/proposals/alone.js';
import type { TextOf } from './policy-changes.js';

/** A part of a policy under another name, without the limits that stand around it. */
export interface PolicyPart {
  readonly as: string;
  readonly shape: (policy: StoredRecord) => StoredRecord;
}

/** Undefined: the text is missing, or this release cannot parse it. */
export function settingsOfText(
  name: string,
  version: string,
  textOf: TextOf,
  part?: PolicyPart,
): Settings | undefined {
  const text = textOf(version);
  const whole = text === undefined ? undefined : asObject(parse(text));
  if (whole === undefined) return undefined;
  const { policies: stored, limits, mail_users: users, catalog } = whole;
  // `approve` names other policies, which this text does not have, and decides about no command.
  const { approve: _, ...own } = asObject(asObject(stored)?.[name]) ?? {};
  const policies = { [part?.as ?? name]: part?.shape(own) ?? own };
  const files = asTexts(catalog).map((hash) => [`/trial/${hash}.yaml`, textOf(hash) ?? ''] as const);
  return parseAlone({
    file: '/trial/policy.yaml',
    yaml: stringify({ policies, ...(limits !== undefined && part === undefined && { limits }) }),
    policy: part?.as ?? name,
    mailUsers: asObject(users) ?? {},
    catalog: new Map(files),
  }).settings;
}
