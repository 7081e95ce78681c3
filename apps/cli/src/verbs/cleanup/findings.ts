// Everything that cleanup finds, in one shape: what to say of it, and how it is removed.
import {
  type Context,
  findLeftImages,
  findLeftovers,
  findMigrationLeftovers,
  findRestoreRemains,
  findTrials,
  type OneSide,
  type Reach,
  removeLeftImages,
  removeLeftover,
  removeMigrationLeftover,
  removeRestoreRemains,
  removeTrial,
} from '@blockferry/engine';
import { openSession, type Session } from '../../session.ts';
import {
  leftImagesText,
  leftoverText,
  migrationLeftoverText,
  remainsText,
  trialText,
} from '../../views/human/leftovers.ts';
import {
  leftImagesLine,
  leftoverLine,
  migrationLeftoverLine,
  remainsLine,
  trialLine,
} from '../../views/json/leftovers.ts';
import type { JsonLine } from '../../views/json/lines.ts';
import { sideOf } from '../migration/pair.ts';

export interface Finding {
  readonly text: string;
  readonly removable: boolean;
  readonly line: (removed: readonly string[]) => JsonLine;
  /** Looks once more. @returns what was removed */
  readonly remove: () => Promise<readonly string[]>;
}

export interface AllLeft extends AsyncDisposable {
  readonly findings: readonly Finding[];
}

export interface How {
  /** The images too that a domain left when it was migrated. */
  readonly deleteSource: boolean;
  /** How the other host of a migration is reached. */
  readonly peer: string | undefined;
}

/** Until it is disposed of, other hosts that it had to ask stay connected. */
export async function findAllLeft(context: Context, target: string, how: How): Promise<AllLeft> {
  const sessions = new Map<string, Session>();
  const reach: Reach = (uri) => {
    const session = sessions.get(uri) ?? openSession(how.peer ?? uri);
    sessions.set(uri, session);
    return sideOf(session.context);
  };
  const close = async (): Promise<void> => {
    for (const session of sessions.values()) await session[Symbol.asyncDispose]();
  };
  try {
    const findings = [
      ...(await ofMoves(context, target)),
      ...(target.includes('/') ? await ofRestores(context, target) : await ofTrials(context, target)),
      // Without tools on the host there are no files to look at.
      ...(context.host === undefined ? [] : await ofMigrations(sideOf(context), target, reach, how)),
    ];
    return { findings, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function ofMoves(context: Context, target: string): Promise<Finding[]> {
  return (await findLeftovers(context, target)).map((leftover) => ({
    text: leftoverText(leftover),
    removable: leftover.verdict.kind !== 'keep',
    line: (removed) => leftoverLine(leftover, removed),
    remove: () => removeLeftover(context, leftover),
  }));
}

async function ofRestores(context: Context, target: string): Promise<Finding[]> {
  return (await findRestoreRemains(context, target)).map((remains) => ({
    text: remainsText(remains),
    removable: true,
    line: (removed) => remainsLine(remains, removed),
    remove: () => removeRestoreRemains(context, remains),
  }));
}

async function ofTrials({ link }: Context, target: string): Promise<Finding[]> {
  return (await findTrials(await link.connection(), target)).map((trial) => ({
    text: trialText(trial),
    removable: true,
    line: (removed) => trialLine(trial, removed),
    remove: async () => ((await removeTrial(trial)) ? [`the definition of ${trial.name}`] : []),
  }));
}

async function ofMigrations(
  here: OneSide,
  target: string,
  reach: Reach,
  { deleteSource }: How,
): Promise<Finding[]> {
  const journals = (await findMigrationLeftovers(here, target, reach)).map((leftover) => ({
    text: migrationLeftoverText(leftover),
    removable: leftover.verdict.kind !== 'keep',
    line: (removed: readonly string[]) => migrationLeftoverLine(leftover, removed),
    remove: () => removeMigrationLeftover(here, leftover, reach),
  }));
  const images = (await findLeftImages(here, target, reach)).map((left) => {
    // Our note of images that are gone is nobody's way back.
    const goes = deleteSource || left.verdict.kind === 'remove-journal';
    return {
      text: leftImagesText(left, deleteSource),
      removable: goes && left.verdict.kind !== 'keep',
      line: (removed: readonly string[]) => leftImagesLine(left, removed),
      remove: async () => (goes ? removeLeftImages(here, left, reach) : []),
    };
  });
  return [...journals, ...images];
}
