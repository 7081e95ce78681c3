// Public surface of this folder.
export { decideGroup } from './decide.ts';
export type { GroupView, Member } from './view.ts';
