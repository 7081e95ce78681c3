// Run by tests as a process of its own: copies, and says every few milliseconds how much it has written, until it is
// done or killed. Arguments: the plan as JSON, bytes of a window, bytes a second.
import { localHost } from '@blockferry/qemu';
import { LayerCopy } from '../layer-copy.ts';
import type { LayerPlan } from '../layer-plan.ts';

const [plan = '', windowBytes = '', speed = ''] = process.argv.slice(2);
const copy = new LayerCopy(localHost(), [JSON.parse(plan) as LayerPlan], {
  windowBytes: BigInt(windowBytes),
  verify: true,
  moveId: 'killed',
});
await copy.setSpeed(BigInt(speed));
const say = () => process.stdout.write(`${copy.progress().written}\n`);
const timer = setInterval(say, 5);
await copy.run(new AbortController().signal);
clearInterval(timer);
say();
process.exit(0);
