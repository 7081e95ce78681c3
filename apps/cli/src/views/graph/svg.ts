// A digraph drawn as SVG, by Graphviz compiled to WebAssembly (ADR 9): loaded only when somebody asks for it.

/** @throws Error with Graphviz's words when it cannot read the text, which is a mistake of ours */
export async function drawSvg(dot: string): Promise<string> {
  const { Graphviz } = await import('@hpcc-js/wasm-graphviz');
  const graphviz = await Graphviz.load();
  return graphviz.layout(dot, 'svg', 'dot');
}
