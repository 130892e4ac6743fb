// The reply of `user`, which is JSON on the wire, as the real program prints it when it asks its own auth service.

import { shapeOf } from '../../domain/commands/columns.js';
import type { Sink } from '../output/cell-format.js';
import { createRowPrinter, type Format } from '../output/row-printer.js';

/** How to print it. */
export interface UserReplyOptions {
  readonly format: Format | undefined;
  readonly hidesTitles: boolean;
  /** One field only (`-f` of the command). */
  readonly field: string | undefined;
}

/** The names of a list of users; undefined for a reply that is none. */
export function parseUserList(json: string): readonly string[] | undefined {
  const found = parseMap(json)?.get('userList');
  return Array.isArray(found) ? found.filter((name) => typeof name === 'string') : undefined;
}

/** Prints it: names one a line; or fields and values of each user. What is no such JSON is printed as it is. */
export function printUserReply(json: string, options: UserReplyOptions, sink: Sink): void {
  const names = parseUserList(json);
  const users = parseMap(json);
  if (options.format === 'json' || users === undefined) return sink(`${json}\n`);
  if (names !== undefined) return sink(names.map((name) => `${name}\n`).join(''));
  const isOne = options.field !== undefined;
  const printer = isOne
    ? undefined
    : createRowPrinter(
        shapeOf('tab', 'field value'),
        { format: options.format, width: undefined, hidesTitles: options.hidesTitles, hasUsers: false },
        sink,
      );
  const missing: string[] = [];
  for (const [user, fields] of users) {
    const values = mapOf(fields) ?? new Map<string, unknown>();
    if (values.has('error')) missing.push(user);
    else if (isOne) sink(`${textOf(values.get(options.field))}\n`);
    else {
      for (const [field, value] of values) {
        printer?.cell(Buffer.from(field), true);
        printer?.cell(Buffer.from(textOf(value)), true);
      }
    }
  }
  printer?.end();
  if (!isOne) for (const user of missing) sink(`\nuserdb lookup: user ${user} doesn't exist\n`);
}

function parseMap(json: string): ReadonlyMap<string, unknown> | undefined {
  try {
    return mapOf(JSON.parse(json));
  } catch {
    return undefined;
  }
}

function mapOf(value: unknown): ReadonlyMap<string, unknown> | undefined {
  return typeof value === 'object' && value !== null ? new Map(Object.entries(value)) : undefined;
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
