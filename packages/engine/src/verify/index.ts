// Compares two chains that hold still.
export type {
  ChainName,
  Difference,
  Holder,
  Verified,
  VerifiedChain,
  VerifyReport,
  VerifyRequest,
} from './request.ts';
export { ImageChanged } from './stillness.ts';
export { type VerifyOptions, verifyChains } from './verify-chains.ts';
