// The Grafana board and the Prometheus rules of config/ as data: their expressions, and the metrics and labels that these name.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { projectRoot } from '../../kit/plain/root.js';

export const root = fileURLToPath(projectRoot);
export const rulesFile = join(root, 'config/prometheus-rules.yaml');
export const boardFile = join(root, 'config/grafana-dashboard.json');

export interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Readonly<Record<'summary' | 'description' | 'runbook_url', string>>;
}

export function readAlerts(): readonly Alert[] {
  const { groups } = parse(readFileSync(rulesFile, 'utf8'));
  return groups.flatMap((group: { rules: readonly Alert[] }) => group.rules);
}

export interface Panel {
  readonly title: string;
  readonly type: string;
  readonly description?: string;
  readonly datasource?: { readonly uid: string };
  readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

export interface Board {
  readonly id: null;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] };
}

export function readBoard(): Board {
  return JSON.parse(readFileSync(boardFile, 'utf8'));
}

/** An expression of the board as Grafana would send it. */
export function asSent(expr: string): string {
  return expr
    .replaceAll('$__rate_interval', '1m')
    .replaceAll('$__range', '3h')
    .replaceAll(/\$(?:instance|verifier)\b/g, '.+');
}

/** What an expression names. `selected`: labels in the braces of a metric; `grouped`: those of by, on and the like. */
export interface Named {
  readonly metrics: readonly { readonly name: string; readonly selected: readonly string[] }[];
  readonly grouped: readonly string[];
}

const words = new Set(['and', 'or', 'unless', 'offset', 'bool', 'by', 'without', 'on', 'ignoring']);
const lists = /\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/g;

/** Reads PromQL as far as needed: what is no function, word, number or label must be a metric. */
export function namesIn(expr: string): Named {
  const bare = asSent(expr).replaceAll(/"(?:[^"\\]|\\.)*"/g, '""');
  const grouped = [...bare.matchAll(lists)].flatMap(([, inside = '']) => inside.match(/\w+/g) ?? []);
  const rest = bare
    .replaceAll(lists, ' ')
    .replaceAll(/\[[^\]]*\]/g, ' ')
    .replaceAll(/\boffset\s+\w+/g, ' ');
  const metrics = [...rest.matchAll(/([a-zA-Z_:][\w:]*)\s*(\{([^}]*)\}|\(?)/g)].flatMap(
    ([, name = '', after = '', inside = '']) =>
      after === '(' || words.has(name)
        ? []
        : [{ name, selected: inside.match(/\w+(?=\s*(?:=|!=|=~|!~))/g) ?? [] }],
  );
  return { metrics, grouped };
}
