// The policies of the site at each step of moving in, as YAML: while it observes, what `suggest` makes of it, and the same with demands of
// an operator, so that each kind of outcome occurs: reasons, limits, numbers of mails, requests.

import assert from 'node:assert/strict';
import { parse, stringify } from 'yaml';
import { asList, asObject, asText } from '../../../src/host/values/values.js';
import { jobs, type Line, ownRules } from './site.js';

type Keys = Readonly<Record<string, unknown>>;

/** `shadow`: with the file of each job as its candidate. */
export function observing(shadow?: (job: string) => string): string {
  return `policies:\n${jobs
    .map((job) => {
      const candidate = shadow === undefined ? '' : `, shadow: ${shadow(job)}`;
      return `  ${job}: { mode: observe, users: ["*"], logs: full, allow: ${ownRules[job] ?? ''}${candidate} }`;
    })
    .join('\n')}`;
}

/** The texts of `suggest`, each of one policy, as one. */
export function together(suggestions: ReadonlyMap<string, string>): string {
  const texts = [...suggestions.values()].map((text) => text.slice(text.indexOf('\npolicies:\n') + 11));
  return `policies:\n${texts.join('')}`;
}

/** What an operator makes of the suggestions: the policies by name. `lines`: what they will be used for, half of it within the limits. */
export function withTerms(
  suggestions: ReadonlyMap<string, string>,
  lines: readonly Line[],
): ReadonlyMap<string, Keys> {
  const half = (job: string, kind: string): string => {
    const all = lines.filter((line) => line.lane.policy === job && line.kind === kind);
    return `${Math.max(1, Math.floor(all.length / 2))}/day`;
  };
  const terms: Readonly<Record<string, Readonly<Record<string, Keys>>>> = {
    monitoring: { 'quota get': { limit: half('monitoring', 'quota') } },
    panel: { 'mailbox subscribe': { reason: 'required' }, 'mailbox list': { limit: half('panel', 'list') } },
    support: { 'flags add': { reason: 'required' }, expunge: { max_matches: 1 } },
    provisioning: { 'mailbox create': { reason: 'required', limit: half('provisioning', 'create') } },
    archiver: { expunge: { max_matches: 1 }, copy: { limit: half('archiver', 'put-back') } },
  };
  const ofPolicy: Readonly<Record<string, Keys>> = { billing: { limits: { distinct_users: '20/day' } } };
  return new Map(
    [...suggestions].map(([job, text]) => {
      const policy = asObject(asObject(asObject(parse(text))?.['policies'])?.[job]) ?? assert.fail(text);
      const rules = (asList(policy['allow']) ?? []).map((rule): Keys => {
        const name = asText(rule);
        return name === undefined ? (asObject(rule) ?? assert.fail(text)) : { command: name };
      });
      const demanded = rules.map((rule): Keys => {
        const more = terms[job]?.[String(rule['command'])];
        return more === undefined || rule['all_users'] === true ? rule : { ...rule, ...more };
      });
      const isRequested = ({ command }: Keys): boolean => job === 'support' && command === 'fetch';
      const requests = demanded.filter(isRequested);
      return [
        job,
        {
          ...policy,
          ...ofPolicy[job],
          allow: demanded.filter((rule) => !isRequested(rule)),
          ...(requests.length === 0 ? {} : { on_request: requests }),
        },
      ];
    }),
  );
}

export function written(policies: Iterable<readonly [string, Keys]>): string {
  return stringify({ policies: Object.fromEntries(policies) });
}

/** The same rules, observed: nothing is on request there. */
export function watching(policies: ReadonlyMap<string, Keys>): string {
  return written(
    [...policies].map(([job, policy]) => {
      const kept = Object.entries(policy).filter(([key]) => key !== 'on_request');
      return [job, { ...Object.fromEntries(kept), mode: 'observe' }];
    }),
  );
}
