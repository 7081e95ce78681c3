// What a move or a migration says while it runs, as JSON lines.
import { type MigrationReport, type Report, unreachable } from '@blockferry/engine';
import { addressed } from '../addressed.ts';
import { percentOf } from '../format.ts';
import type { JsonLine } from './lines.ts';

/**
 * Undefined for what is said already: what is waited for shows by the phase, and by a warning where the wait is not to be
 * expected.
 *
 * @param uri as given with -c, so that advised commands carry it
 */
export function reportLine(report: Report | MigrationReport, uri: string | undefined): JsonLine | undefined {
  switch (report.type) {
    case 'phase':
      return { type: 'phase', phase: report.phase, goal: report.goal };
    case 'step':
      return { type: 'step', step: report.step };
    case 'round':
      return { type: 'round', round: report.round };
    case 'progress': {
      const { type, copied, total, ...rest } = report;
      return { type, copied, total, percent: percentOf(copied, total), ...rest };
    }
    case 'warning':
      return { type: 'warning', code: report.code, message: addressed(report.message, uri) };
    case 'waiting':
      return undefined;
    default:
      return unreachable(report);
  }
}
