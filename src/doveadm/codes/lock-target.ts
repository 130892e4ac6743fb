// The target of a lock in one word. A file without the sentences, because the first screen of the browser needs rows and no codes.

/** As `dovegate lock` takes it: `carol`, `key:panel`, `backend:mail1`. */
export function lockTarget(of: {
  readonly user?: string | undefined;
  readonly backend?: string | undefined;
  readonly listener?: string | undefined;
  readonly to?: string | undefined;
}): string {
  const { user, backend, listener, to = '' } = of;
  if (user) return `user:${user}`;
  if (backend) return `backend:${backend}`;
  return listener ? `listener:${listener}` : to;
}
