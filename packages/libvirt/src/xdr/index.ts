// Schema combinators, for those who declare procedures of their own.
export * from './schema.ts';
export { charArray, charBytes, union, unsignedChar, uuid } from './special.ts';
