// The table of bounds: what a stranger, a principal, a backend, a receiver, a person on the page or an operator can make the program hold
// or do at most. Every module takes its limits and the defaults of its settings from here; docs/limits.md is generated from it.
// To add a row: CONTRIBUTING.md, "A bound".

import { ofBackends } from './backends.js';
import type { Bound } from './bound.js';
import { ofHttpClients } from './http-clients.js';
import { ofJournals } from './journals.js';
import { ofOperators } from './operators.js';
import { ofPeople } from './people.js';
import { ofPrincipals } from './principals.js';
import { ofReceivers } from './receivers.js';
import { ofRecords } from './records.js';
import { ofStrangers } from './strangers.js';

/** The rows by their cause, in the order of the documentation. */
export const table = {
  stranger: ofStrangers,
  principal: { ...ofHttpClients, ...ofPrincipals, ...ofRecords },
  backend: ofBackends,
  receiver: { ...ofReceivers, ...ofJournals },
  person: ofPeople,
  operator: ofOperators,
};

const rows = {
  ...table.stranger,
  ...table.principal,
  ...table.backend,
  ...table.receiver,
  ...table.person,
  ...table.operator,
};

export type BoundKey = keyof typeof rows;

const factors = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

function numberOf({ value }: Bound): number {
  if (typeof value === 'number') return value;
  const unit = value.replace(/^[\d.]+/, '');
  const [, factor] = Object.entries(factors).find(([name]) => name === unit) ?? [];
  if (factor === undefined) throw new Error(`no unit in ${value}`);
  return Number.parseFloat(value) * factor;
}

function each<T>(of: (row: Bound) => T): Readonly<Record<BoundKey, T>> {
  const made: Record<string, T> = {};
  for (const [key, row] of Object.entries(rows)) made[key] = of(row);
  return made as Record<BoundKey, T>;
}

/** Bytes, milliseconds, or a number of things. */
export const bounds = each(numberOf);

/** As a configuration would write them: the defaults of settings. */
export const asWritten = each(({ value }) => String(value));
