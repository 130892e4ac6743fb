// The rights of a person of the page: see that it works; see and act; read records; decide about requests for access.

export const pageRoles = ['view', 'operate', 'audit', 'approve'] as const;
export type PageRole = (typeof pageRoles)[number];
