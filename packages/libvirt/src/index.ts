// Public surface of this package.
export * from './domain-xml/index.ts';
