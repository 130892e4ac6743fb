// What operators can change over the admin endpoints: which path asks for which action, and how its result is answered. It does
// not carry anything out; the daemon does. The rule: an action is a POST, and says who asked for it.

/** Something that an operator wants done. */
export type OperatorAction =
  | { readonly kind: 'kill'; readonly id: string }
  | { readonly kind: 'drain' | 'enable'; readonly backend: string }
  | { readonly kind: 'reload' };

/** Who asks: by the word of the kernel on a UNIX socket, by its address where only the token was shown. */
export interface Operator {
  /** The user's name, else the uid; for the record's key `by`. */
  readonly by: string;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly pid?: number | undefined;
  readonly user?: string | undefined;
  readonly address?: string | undefined;
}

/** What came of it, as a sentence. `unknown`: there is no such thing. */
export interface ActionResult {
  readonly kind: 'done' | 'unknown' | 'failed';
  readonly text: string;
}

/** Carries an action out. Rejects only where its record could not be written; nothing was done then. */
export type Act = (action: OperatorAction, operator: Operator) => Promise<ActionResult>;

/** The paths, for people. */
export const actionPaths: readonly string[] = [
  '/kill/ID',
  '/backend/NAME/drain',
  '/backend/NAME/enable',
  '/reload',
];

/** The action of a path; undefined: it is none. */
export function actionAt(path: string): OperatorAction | undefined {
  if (path === '/reload') return { kind: 'reload' };
  const [, first, name, verb, ...more] = path.split('/').map(decoded);
  if (name === undefined || name === '' || more.length > 0) return undefined;
  if (first === 'kill' && verb === undefined) return { kind: 'kill', id: name };
  if (first !== 'backend' || (verb !== 'drain' && verb !== 'enable')) return undefined;
  return { kind: verb, backend: name };
}

/** The status of HTTP for a result. */
export function statusOf({ kind }: ActionResult): number {
  switch (kind) {
    case 'done':
      return 200;
    case 'unknown':
      return 404;
    case 'failed':
      return 409;
    default:
      return kind satisfies never;
  }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return '';
  }
}
