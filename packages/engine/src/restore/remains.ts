// What a restore that died has left: files that no domain uses, or a domain that was restored whole, and a journal.
import { dirname, join } from 'node:path';
import { type Connection, type DomainXml, describeSource } from '@blockferry/libvirt';
import type { Millis } from '../model/units.ts';
import { bothDefinitions } from '../observe/usage.ts';
import type { Context } from '../run/context.ts';
import { aloneRestoring } from './at-work.ts';
import {
  isRestoreJournal,
  type RestoreJournal,
  readRestoreJournal,
  removeRemains,
  restoreJournalPath,
} from './journal.ts';
import type { Restored, RestorePlan, RestoreRequest } from './request.ts';
import { placeTpm } from './tpm.ts';

/** A few small files. */
const PLACED_WITHIN_MS: Millis = 60_000;

/**
 * Removes the files of a journal and the journal; where a domain is defined on one of them, the journal alone, when the
 * state of its TPM is in its place. May be repeated.
 *
 * @returns what was removed
 * @throws Refusal `domain-runs`, see placeTpm
 */
export async function removeUnused(
  context: Context,
  path: string,
  journal: RestoreJournal,
): Promise<readonly string[]> {
  const { link, host } = context;
  if (host === undefined) return [];
  if (!(await isUsed(await link.connection(), journal.plan))) return removeRemains(host, path, journal);
  await placeTpm(context, journal.plan, AbortSignal.timeout(PLACED_WITHIN_MS));
  await host.unlink(path);
  return [path];
}

/** Does any domain's definition name one of its images? */
export async function isUsed(connection: Connection, plan: RestorePlan): Promise<boolean> {
  for (const domain of await connection.listAllDomains()) {
    const definitions = await bothDefinitions(connection, domain);
    if (definitions.some(({ xml }) => plan.disks.some(({ path }) => names(xml, path)))) return true;
  }
  return false;
}

function names(xml: DomainXml, path: string): boolean {
  return xml.disks().some(({ chain }) => chain.some(({ source }) => describeSource(source) === path));
}

/**
 * The same restore, which died when the domain was defined and all was done but for the TPM's state, which is put in its place
 * now, and its journal. That goes now.
 *
 * @returns undefined: there is none such
 * @throws Refusal `domain-runs`, see placeTpm; `at-work`
 */
export async function finishedBefore(
  context: Context,
  { directory, as, point }: RestoreRequest,
): Promise<Restored | undefined> {
  const { link, host } = context;
  if (host === undefined) return undefined;
  const connection = await link.connection();
  for (const domain of await connection.listAllDomains()) {
    const config = (await bothDefinitions(connection, domain)).find(
      ({ definition }) => definition === 'persistent',
    )?.xml;
    const paths =
      config?.disks().flatMap(({ source }) => (source?.kind === 'file' ? [source.path] : [])) ?? [];
    for (const place of new Set(paths.map((path) => dirname(path)))) {
      const journalPath = restoreJournalPath(place, domain.name);
      const journal = await readRestoreJournal(host, journalPath);
      if (journal === undefined || !journal.plan.disks.every(({ path }) => paths.includes(path))) continue;
      const { plan } = journal;
      const isSame =
        plan.directory === directory &&
        (point ?? plan.point) === plan.point &&
        JSON.stringify(plan.as) === JSON.stringify(as);
      // That of another restore has its TPM placed when that is asked for, or cleaned up.
      if (!isSame && plan.tpm?.kind === 'replaced') continue;
      using _ = await aloneRestoring(host, plan.name, AbortSignal.timeout(PLACED_WITHIN_MS));
      await placeTpm(context, plan, AbortSignal.timeout(PLACED_WITHIN_MS));
      await host.unlink(journalPath);
      if (isSame) return { plan, uuid: domain.uuid, kept: [], bytes: 0n, durationMs: 0 };
    }
  }
  return undefined;
}

/** What is left of restores in a directory, as `cleanup` tells of it. */
export interface RestoreRemains {
  readonly path: string;
  readonly plan: RestorePlan;
  /** A domain is defined on it: only the journal is too much. */
  readonly used: boolean;
}

/** @param path a directory, or a journal in it. @throws FileError, HostError, LibvirtError, RecordUnreadable */
export async function findRestoreRemains(
  { link, host }: Context,
  path: string,
): Promise<readonly RestoreRemains[]> {
  if (host === undefined) return [];
  const isDirectory = (await host.stat(path))?.type === 'directory';
  const names = isDirectory ? (await host.readdir(path)).map((name) => join(path, name)) : [path];
  const found: RestoreRemains[] = [];
  for (const name of names.filter(isRestoreJournal)) {
    const journal = await readRestoreJournal(host, name);
    if (journal === undefined) continue;
    const used = await isUsed(await link.connection(), journal.plan);
    found.push({ path: name, plan: journal.plan, used });
  }
  return found;
}

/** Looks once more, and removes what may be removed. @returns what was removed. @throws Refusal `at-work` */
export async function removeRestoreRemains(
  context: Context,
  { path }: RestoreRemains,
): Promise<readonly string[]> {
  const { host } = context;
  if (host === undefined) return [];
  const first = await readRestoreJournal(host, path);
  if (first === undefined) return [];
  using _ = await aloneRestoring(host, first.plan.name, AbortSignal.timeout(PLACED_WITHIN_MS));
  const journal = await readRestoreJournal(host, path);
  return journal === undefined ? [] : removeUnused(context, path, journal);
}
