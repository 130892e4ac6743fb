// What a person of the page may do.

/** The rights of a person: see that it works; see and act; look at records; decide about requests for access. */
export const pageRoles = ['view', 'operate', 'audit', 'approve'] as const;
export type PageRole = (typeof pageRoles)[number];
