// A plan as a command shows it that only looks.
import type { Plan } from '@blockferry/engine';
import { planWithSteps } from './human/plan.ts';
import type { JsonLine } from './json/lines.ts';
import { planLine } from './json/move.ts';

export function showPlan(show: (line: JsonLine, human: () => string) => void, plan: Plan): void {
  const { domain, disk } = plan.move;
  show(planLine(plan), () => planWithSteps(plan));
  for (const { code, message } of plan.warnings) {
    show({ type: 'warning', domain: domain.name, disk, code, message }, () => `warning: ${message}\n`);
  }
}
