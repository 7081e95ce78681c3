// Public surface of this package: the command line, callable from a program.
export { ExitCode } from './exit-code.ts';
export { main } from './main.ts';
export type { MainOptions } from './program.ts';
