// What a person of the page may do.

/** The rights of a person: see that it works; see and act; look at records; decide about requests for access. */
export const pageRoles = ['view', 'operate', 'audit', 'approve'] as const;
export type PageRole = (typeof pageRoles)[number];

export function isAmong(roles: readonly PageRole[], those: readonly PageRole[]): boolean {
  return roles.some((role) => those.includes(role));
}

export function whyNotAsked(
  name: string,
  roles: readonly PageRole[],
  what: string,
  those: readonly PageRole[],
): string {
  const own = `${roles.length === 1 ? 'role' : 'roles'} "${roles.join('" and "')}"`;
  return `${name} has the ${own}, which may not ask for ${what}: that needs "${those.join('" or "')}"`;
}
