// A domain, with all its calls; each area has its own file.

import { DomainMigration } from './migration.ts';

/** A handle of one domain. It keeps no state: every method asks the daemon. */
export class Domain extends DomainMigration {}
