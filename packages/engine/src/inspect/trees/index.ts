// Whole trees of shared bases, across all domains of a host.
export { inspectTrees, type TreesReport, type TreesRequest } from './inspect-trees.ts';
export {
  eachImage,
  type Standing,
  type TreeImage,
  type TreeLink,
  type TreeUser,
  treesOf,
} from './tree.ts';
export type { UnknownUse } from './uses.ts';
